//! Where a function is called.

use std::fmt;

use crate::sdk::step::StepHash;

/// The URL of a function, which names the function in its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUrl(String);

/// The parameter that says which step to run.
const STEP: &str = "stepId=";

impl StepUrl {
    /// An absolute http or https URL; nothing for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme))?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_clean = !text.contains(|char: char| char.is_control() || char.is_whitespace());
        (is_clean && !host.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The URL as the app gave it, which finds out what the function does next.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL that runs one step that was planned.
    #[must_use]
    pub fn for_step(&self, step: StepHash) -> String {
        let url = self.0.split('#').next().unwrap_or_default();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let others = query
            .split('&')
            .filter(|parameter| !parameter.is_empty() && !parameter.starts_with(STEP));
        let mut url = format!("{path}?");
        for parameter in others {
            url.push_str(parameter);
            url.push('&');
        }
        url + STEP + &step.to_string()
    }
}

impl fmt::Display for StepUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
