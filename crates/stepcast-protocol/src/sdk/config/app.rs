//! An app and how it is synced.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{error::ConfigError, function::FunctionConfig};
use crate::{limits, names::AppId};

/// An app, as it registers itself or answers an in-band sync.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfig {
    /// Its id.
    pub id: AppId,
    /// Where it is called, as it says itself.
    pub url: Option<String>,
    /// Its SDK, e.g. `js:v4.24.0`.
    pub sdk: Option<String>,
    /// What it runs in, e.g. `nextjs`.
    pub framework: Option<String>,
    /// Its host, e.g. `vercel`.
    pub platform: Option<String>,
    /// Its version, if its developers count them.
    pub version: Option<String>,
    /// Its functions.
    pub functions: Vec<FunctionConfig>,
}

/// What an app is asked with, to sync itself.
#[derive(Debug, Clone, Serialize)]
pub struct SyncRequest<'a> {
    /// Where it is called.
    pub url: &'a str,
}

/// What an app that has registered itself is told.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SyncReply {
    /// `true`.
    pub ok: bool,
    /// Whether its configuration is another than before.
    pub modified: bool,
}

/// The body of a registration and that of the answer to an in-band sync, which call the app's id differently.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "appName", alias = "app_id")]
    id: String,
    #[serde(default)]
    url: Option<Value>,
    #[serde(default)]
    sdk: Option<Value>,
    #[serde(default)]
    framework: Option<Value>,
    #[serde(default)]
    platform: Option<Value>,
    #[serde(default, rename = "appVersion")]
    version: Option<Value>,
    functions: Vec<Value>,
}

impl AppConfig {
    /// Reads the body of a registration or of the answer to an in-band sync.
    ///
    /// # Errors
    /// [`ConfigError`] names function, option, value and what would be right.
    pub fn read(body: &[u8]) -> Result<Self, ConfigError> {
        let written: Written = serde_json::from_slice(body).map_err(ConfigError::NotAnApp)?;
        let count = written.functions.len();
        if count > limits::FUNCTIONS_PER_APP {
            return Err(ConfigError::TooManyFunctions { count });
        }
        Ok(Self {
            id: AppId::parse(&written.id).map_err(ConfigError::App)?,
            url: text(written.url),
            sdk: text(written.sdk),
            framework: text(written.framework),
            platform: text(written.platform),
            version: text(written.version),
            functions: functions(&written.functions)?,
        })
    }
}

fn functions(written: &[Value]) -> Result<Vec<FunctionConfig>, ConfigError> {
    let mut ids = BTreeSet::new();
    let mut functions = Vec::with_capacity(written.len());
    for (index, value) in written.iter().enumerate() {
        let function = FunctionConfig::read(index + 1, value)?;
        if !ids.insert(function.id.clone()) {
            let function = function.id.to_string();
            return Err(ConfigError::Duplicate { function });
        }
        functions.push(function);
    }
    Ok(functions)
}

fn text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}
