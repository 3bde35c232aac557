//! How apps outlive the process: a setting with the text of each one's registration.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepcast_engine::{Engine, EngineError, store::Store};

use super::{directory::Directory, registration::Registration};

/// The setting's name. Persisted, keep it stable, as are the names of the fields below.
const SETTING: &str = "apps";

#[derive(Serialize, Deserialize)]
struct Stored {
    apps: Vec<Box<RawValue>>,
}

pub(super) async fn save(engine: &Engine, directory: &Directory) -> Result<(), EngineError> {
    let apps = directory.apps();
    let text = |text: &str| RawValue::from_string(text.to_owned()).ok();
    let apps = apps.iter().filter_map(|app| text(&app.text)).collect();
    let bytes = serde_json::to_vec(&Stored { apps }).unwrap_or_default();
    engine.set_setting(SETTING, bytes).await
}

/// Those that can be read. What cannot is said in the log, and comes back with the app's next sync.
pub(super) async fn load(store: &dyn Store) -> Result<Vec<Registration>, EngineError> {
    let Some(bytes) = store.setting(SETTING).await? else {
        return Ok(Vec::new());
    };
    let stored: Stored = match serde_json::from_slice(&bytes) {
        Ok(stored) => stored,
        Err(error) => {
            tracing::warn!(%error, "the apps that were known before cannot be read");
            return Ok(Vec::new());
        }
    };
    let read = |text: Box<RawValue>| match Registration::read(text.get().as_bytes()) {
        Ok(registration) => Some(registration),
        Err(error) => {
            tracing::warn!(%error, "an app that was known before is left out");
            None
        }
    };
    Ok(stored.apps.into_iter().filter_map(read).collect())
}
