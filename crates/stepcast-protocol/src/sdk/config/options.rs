//! One object of a function's configuration, read with errors that say where they are.

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::ConfigError;
use crate::{
    names::EventName,
    sdk::until::{self, Until, UntilError},
};

/// An object and where it stands. An option that is `null` counts as absent.
pub(super) struct Options<'a> {
    function: &'a str,
    path: String,
    object: &'a Map<String, Value>,
}

impl<'a> Options<'a> {
    /// A function's own options.
    pub(super) fn of_function(function: &'a str, object: &'a Map<String, Value>) -> Self {
        let path = String::new();
        Self {
            function,
            path,
            object,
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Options<'a>>, ConfigError> {
        let value = self.value(key);
        let nested = value.map(|value| self.nested(&self.path(key), value));
        nested.transpose()
    }

    /// The items of a list of objects, or of a single object.
    pub(super) fn objects(&self, key: &str, limit: usize) -> Result<Vec<Options<'a>>, ConfigError> {
        let items = match self.value(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(single) => vec![single],
        };
        if items.len() > limit {
            return Err(self.too_many(key, items.len(), limit));
        }
        let path = |index: usize| format!("{}[{index}]", self.path(key));
        items
            .into_iter()
            .enumerate()
            .map(|(index, item)| self.nested(&path(index), item))
            .collect()
    }

    fn nested(&self, path: &str, value: &'a Value) -> Result<Options<'a>, ConfigError> {
        let object = value
            .as_object()
            .ok_or_else(|| self.wrong_at(path, value, "an object"))?;
        Ok(Options {
            function: self.function,
            path: path.to_owned(),
            object,
        })
    }

    /// A text; an empty one counts as absent.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(&**text).filter(|text| !text.trim().is_empty())),
            Some(value) => Err(self.wrong(key, value, "a text")),
        }
    }

    pub(super) fn expression(&self, key: &str) -> Result<Option<String>, ConfigError> {
        Ok(self.text(key)?.map(str::to_owned))
    }

    /// A whole number from 0 on, at most `limit`.
    pub(super) fn number(
        &self,
        key: &str,
        limit: u32,
        expected: &'static str,
    ) -> Result<Option<u32>, ConfigError> {
        let number = |value: &Value| {
            let whole = value.as_u64().and_then(|number| u32::try_from(number).ok());
            whole.filter(|number| *number <= limit)
        };
        match self.value(key) {
            None => Ok(None),
            Some(value) => match number(value) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, value, expected)),
            },
        }
    }

    pub(super) fn event(&self, key: &str) -> Result<Option<EventName>, ConfigError> {
        let name = self.text(key)?.map(EventName::parse).transpose();
        name.map_err(|source| ConfigError::Name {
            function: self.function.to_owned(),
            option: self.path(key),
            source,
        })
    }

    pub(super) fn duration(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let duration = self.text(key)?.map(until::duration).transpose();
        duration.map_err(|source| self.until_error(key, source))
    }

    pub(super) fn until(&self, key: &str) -> Result<Option<Until>, ConfigError> {
        let until = self.text(key)?.map(Until::parse).transpose();
        until.map_err(|source| self.until_error(key, source))
    }

    fn until_error(&self, key: &str, source: UntilError) -> ConfigError {
        ConfigError::Until {
            function: self.function.to_owned(),
            option: self.path(key),
            source,
        }
    }

    pub(super) fn missing(&self, key: &str, expected: &'static str) -> ConfigError {
        ConfigError::Missing {
            function: self.function.to_owned(),
            option: self.path(key),
            expected,
        }
    }

    pub(super) fn too_many(&self, key: &str, count: usize, limit: usize) -> ConfigError {
        ConfigError::TooMany {
            function: self.function.to_owned(),
            option: self.path(key),
            count,
            limit,
        }
    }

    /// A value that cannot be.
    pub(super) fn wrong(&self, key: &str, value: &Value, expected: &'static str) -> ConfigError {
        self.wrong_at(&self.path(key), value, expected)
    }

    fn wrong_at(&self, path: &str, value: &Value, expected: &'static str) -> ConfigError {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        ConfigError::Value {
            function: self.function.to_owned(),
            option: path.to_owned(),
            value: text.chars().take(64).collect(),
            expected,
        }
    }

    fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}
