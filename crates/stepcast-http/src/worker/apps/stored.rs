//! How apps outlive the process: a setting with the text of each one's registration.
//!
//! Beside those of the apps that are known, registrations stay in it that were left out at the start: what is wrong may be how the server
//! was started. They go when their app registers itself, when it is removed, or when another one is served at its URL.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepcast_engine::{Engine, EngineError, store::Store};
use stepcast_protocol::{limits, sdk::AppConfig};

use super::{directory::Directory, error::SyncError, registration::Registration};

/// The setting's name. Persisted, keep it stable, as are the names of the fields below.
const SETTING: &str = "apps";

#[derive(Serialize, Deserialize)]
struct Stored {
    apps: Vec<Box<RawValue>>,
}

/// What is stored beside what the directory has.
#[derive(Debug, Default)]
pub(super) struct Kept {
    left_out: Vec<LeftOut>,
    /// The store may not have what the directory has: a change is on its way, or could not be committed.
    is_stale: bool,
}

/// A registration of an app that is not known.
#[derive(Debug)]
struct LeftOut {
    id: String,
    url: Option<String>,
    text: String,
}

/// By what a registration is known, whatever else is wrong with it.
#[derive(Deserialize)]
struct Names {
    #[serde(rename = "appName")]
    id: String,
    url: Option<String>,
}

impl Kept {
    /// Stays stored though its app is not known. What has no id can never be replaced, and goes.
    pub(super) fn leave_out(&mut self, text: &str) {
        if let Ok(Names { id, url }) = serde_json::from_str(text) {
            let text = text.to_owned();
            self.left_out.push(LeftOut { id, url, text });
        }
    }

    /// The bytes of each registration that was left out and stays beside this one.
    pub(super) fn beside(&self, config: &AppConfig) -> impl Iterator<Item = usize> {
        let left_out = self.left_out.iter();
        let stay =
            left_out.filter(move |other| !is_replaced(&other.id, other.url.as_deref(), config));
        stay.map(|other| other.text.len())
    }

    /// An app has registered itself.
    pub(super) fn on_registered(&mut self, config: &AppConfig) {
        self.is_stale = true;
        self.left_out
            .retain(|other| !is_replaced(&other.id, other.url.as_deref(), config));
    }

    /// What is served at a URL is removed. Says whether something was left out that is.
    pub(super) fn on_removed(&mut self, url: &str) -> bool {
        let before = self.left_out.len();
        self.left_out
            .retain(|other| other.url.as_deref() != Some(url));
        let is_other = self.left_out.len() != before;
        self.is_stale |= is_other;
        is_other
    }

    /// Stores what the directory has and what was left out.
    pub(super) async fn save(
        &mut self,
        engine: &Engine,
        directory: &Directory,
    ) -> Result<(), EngineError> {
        self.is_stale = true;
        let apps = directory.apps();
        let known = apps.iter().map(|app| &app.text);
        let texts = known.chain(self.left_out.iter().map(|other| &other.text));
        let apps = texts.filter_map(|text| RawValue::from_string(text.clone()).ok());
        let apps = apps.collect();
        let bytes = serde_json::to_vec(&Stored { apps }).unwrap_or_default();
        engine.set_setting(SETTING, bytes).await?;
        self.is_stale = false;
        Ok(())
    }

    /// The same, where an earlier change has not come as far as the store.
    pub(super) async fn save_if_stale(
        &mut self,
        engine: &Engine,
        directory: &Directory,
    ) -> Result<(), EngineError> {
        if self.is_stale {
            self.save(engine, directory).await?;
        }
        Ok(())
    }
}

/// Whether an app of this id and URL is replaced by another one: it is the same, or is gone from where the other one is served.
pub(super) fn is_replaced(id: &str, url: Option<&str>, by: &AppConfig) -> bool {
    id == by.id.as_str() || (url.is_some() && url == by.url.as_deref())
}

/// Whether a registration may be stored beside others of so many bytes each.
pub(super) fn check_room(others: &[usize], registration: &Registration) -> Result<(), SyncError> {
    if others.len() >= limits::APPS {
        return Err(SyncError::TooManyApps);
    }
    let bytes = others.iter().sum::<usize>() + registration.text.len();
    if bytes > limits::APPS_BYTES {
        return Err(SyncError::AppsTooLarge {
            app: registration.config.id.clone(),
            bytes,
        });
    }
    Ok(())
}

/// Those that can be read. What cannot is said in the log, and comes back with the app's next sync.
pub(super) async fn load(store: &dyn Store) -> Result<(Vec<Registration>, Kept), EngineError> {
    let mut kept = Kept::default();
    let Some(bytes) = store.setting(SETTING).await? else {
        return Ok((Vec::new(), kept));
    };
    let stored: Stored = match serde_json::from_slice(&bytes) {
        Ok(stored) => stored,
        Err(error) => {
            tracing::warn!(%error, "the apps that were known before cannot be read");
            return Ok((Vec::new(), kept));
        }
    };
    let mut registrations = Vec::new();
    for text in &stored.apps {
        match Registration::read(text.get().as_bytes()) {
            Ok(registration) => registrations.push(registration),
            Err(error) => {
                tracing::warn!(%error, "an app that was known before is left out");
                kept.leave_out(text.get());
            }
        }
    }
    Ok((registrations, kept))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn registration(body: &Value) -> Registration {
        Registration::read(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn registrations_are_bounded_in_number_and_in_bytes() {
        let one = registration(&json!({"appName": "shop", "functions": []}));
        let room = |others: &[usize]| check_room(others, &one).map_err(|error| error.to_string());
        let rest = limits::APPS_BYTES - one.text.len();
        assert_eq!(room(&[8 * MIB; 7]), Ok(()));
        assert_eq!(room(&[rest]), Ok(()));
        let error = room(&[rest, 1]).unwrap_err();
        for part in [
            "`shop`",
            "67108865 bytes",
            "at most 67108864",
            "DELETE /fn/remove?url=",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(room(&[1; limits::APPS - 1]), Ok(()));
        let error = room(&[1; limits::APPS]).unwrap_err();
        assert!(error.contains("256 apps are registered"), "{error}");
    }

    #[test]
    fn what_is_left_out_stays_until_its_app_or_another_one_at_its_url_comes() {
        let texts = [
            r#"{"appName":"a","url":"http://a","functions":7}"#,
            r#"{"appName":"b","url":"http://b"}"#,
            r#"{"appName":"c"}"#,
            r#"{"url":"http://nobody"}"#,
        ];
        let mut kept = Kept::default();
        for text in texts {
            kept.leave_out(text);
        }
        let ids = |kept: &Kept| -> Vec<String> {
            let left_out = kept.left_out.iter();
            left_out.map(|other| other.id.clone()).collect()
        };
        assert_eq!(ids(&kept), ["a", "b", "c"]);
        assert!(!kept.on_removed("http://c"));
        let other = registration(&json!({"appName": "d", "url": "http://a", "functions": []}));
        assert_eq!(kept.beside(&other.config).count(), 2);
        kept.on_registered(&other.config);
        assert_eq!(ids(&kept), ["b", "c"]);
        let same = registration(&json!({"appName": "c", "functions": []}));
        kept.on_registered(&same.config);
        assert!(kept.on_removed("http://b"));
        assert!(kept.left_out.is_empty());
    }
}
