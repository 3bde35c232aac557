//! What an app says of itself, read once and kept as text.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use stepcast_protocol::sdk::AppConfig;

use super::error::SyncError;

/// An app's configuration, as text for the store and as what it means.
#[derive(Debug, Clone)]
pub struct Registration {
    /// What it means.
    pub config: AppConfig,
    /// Two that are equal have the same.
    pub(super) checksum: String,
    pub(super) text: String,
}

/// What counts of a registration; the rest changes without the app being another.
const KEYS: [&str; 7] = [
    "appName",
    "appVersion",
    "framework",
    "functions",
    "platform",
    "sdk",
    "url",
];

impl Registration {
    /// Reads the body of a registration.
    ///
    /// # Errors
    /// [`SyncError`] names function, option and value.
    pub fn read(body: &[u8]) -> Result<Self, SyncError> {
        Self::of(AppConfig::read(body)?, body)
    }

    /// Reads the answer to an in-band sync of the app at a URL, which is where it is served whatever it says itself.
    ///
    /// # Errors
    /// [`SyncError`] names function, option and value.
    pub(super) fn in_band(body: &[u8], url: &str) -> Result<Self, SyncError> {
        let config = AppConfig::read(body)?;
        let url = Some(url.to_owned());
        Self::of(AppConfig { url, ..config }, body)
    }

    fn of(config: AppConfig, body: &[u8]) -> Result<Self, SyncError> {
        check_sdk(config.sdk.as_deref().unwrap_or_default())?;
        let mut said: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        said.retain(|key, _| KEYS.contains(&&**key));
        said.insert("appName".to_owned(), Value::from(&*config.id));
        if let Some(url) = &config.url {
            said.insert("url".to_owned(), Value::from(&**url));
        }
        let text = Value::from(said).to_string();
        let digest = Sha256::digest(&text);
        Ok(Self {
            checksum: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            config,
            text,
        })
    }
}

/// The first and the last version of the npm SDK that must not be used, because it shows its environment to anybody who asks.
const LEAKY: [(u32, u32, u32); 2] = [(3, 22, 0), (3, 53, 1)];

fn check_sdk(sdk: &str) -> Result<(), SyncError> {
    let [first, last] = LEAKY;
    match sdk.strip_prefix("js:v").and_then(version) {
        Some(version) if (first..=last).contains(&version) => Err(SyncError::Sdk {
            sdk: sdk.to_owned(),
        }),
        Some(_) | None => Ok(()),
    }
}

fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.splitn(3, '.');
    let mut part = || {
        let text = parts.next()?;
        let digits = text.find(|char: char| !char.is_ascii_digit());
        text[..digits.unwrap_or(text.len())].parse().ok()
    };
    Some((part()?, part()?, part()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<Registration, SyncError> {
        Registration::read(body.to_string().as_bytes())
    }

    #[test]
    fn two_are_equal_when_what_counts_is() {
        let one = json!({"appName": "a", "url": "http://a", "functions": [], "featureObservations": {"n": 1}});
        let same = json!({"url": "http://a", "functions": [], "app_id": "a", "deployType": "ping"});
        let other = json!({"appName": "a", "url": "http://b", "functions": []});
        let checksum = |body| read(body).unwrap().checksum;
        assert_eq!(checksum(&one), checksum(&same));
        assert_ne!(checksum(&one), checksum(&other));
        let in_band = Registration::in_band(other.to_string().as_bytes(), "http://a").unwrap();
        assert_eq!(in_band.checksum, checksum(&one));
        assert_eq!(
            Registration::read(in_band.text.as_bytes())
                .unwrap()
                .checksum,
            checksum(&one)
        );
    }

    #[test]
    fn versions_that_show_their_environment_are_refused() {
        for (sdk, taken) in [
            ("js:v4.24.0", true),
            ("js:v3.21.9", true),
            ("js:v3.22.0", false),
            ("js:v3.53.1", false),
            ("js:v3.53.1-beta.1", false),
            ("js:v3.54.0", true),
            ("py:v3.40.0", true),
            ("nonsense", true),
        ] {
            let body = json!({"appName": "a", "functions": [], "sdk": sdk});
            assert_eq!(read(&body).is_ok(), taken, "{sdk}");
        }
    }
}
