//! What can be set of apps: where they are, and how their functions are called.

use std::{fmt, str::FromStr};

use clap::{Args, builder::BoolishValueParser};
use serde::Deserialize;
use stepcast_protocol::{FunctionId, NameError, sdk::config};

use super::settings::list;
use crate::span::Span;

/// Apps, and how their functions are called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[command(next_help_heading = "Apps")]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Calling {
    /// An app's address, e.g. `http://localhost:3000/api/inngest`; may be given several times [default: dev looks for apps
    /// on the usual ports of this machine]
    #[arg(
        short = 'u',
        long,
        value_name = "URL",
        env = "STEPCAST_APP",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) app: Vec<AppUrl>,
    /// Takes only apps that are named or register themselves; for dev, which looks for them otherwise
    #[arg(long, env = "STEPCAST_NO_DISCOVERY", hide_env_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub(crate) no_discovery: Option<bool>,
    /// How often apps are asked what functions they have, with a unit: s, m [default: 5s]
    #[arg(
        long,
        value_name = "TIME",
        env = "STEPCAST_POLL_INTERVAL",
        hide_env_values = true
    )]
    pub(crate) poll_interval: Option<Span>,
    /// Attempts after the first one, for functions that do not say it; at most 20 [default: 4]
    #[arg(
        long,
        value_name = "COUNT",
        env = "STEPCAST_RETRIES",
        hide_env_values = true
    )]
    pub(crate) retries: Option<u32>,
    /// One pause before every next attempt, with a unit: ms, s, m [default: 15s, growing to 2h]
    #[arg(
        long,
        value_name = "TIME",
        env = "STEPCAST_RETRY_INTERVAL",
        hide_env_values = true
    )]
    pub(crate) retry_interval: Option<Span>,
    /// How long a call of a function may take, with a unit: s, m, h [default: 2h]
    #[arg(
        long,
        value_name = "TIME",
        env = "STEPCAST_CALL_TIMEOUT",
        hide_env_values = true
    )]
    pub(crate) call_timeout: Option<Span>,
    /// Options of functions that are ignored instead of refused: throttle, rateLimit, debounce, batchEvents, priority, singleton
    #[arg(
        long,
        value_name = "OPTION",
        env = "STEPCAST_IGNORE_UNSUPPORTED",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) ignore_unsupported: Vec<Unsupported>,
    /// A function, as `<app>-<function>`, whose result pages see whose token does not name `$run`; may be given several times
    #[arg(
        long,
        value_name = "FUNCTION",
        env = "STEPCAST_EXPOSE_RESULT",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) expose_result: Vec<FunctionName>,
}

impl Calling {
    /// These settings, and for what they do not say those below.
    pub(crate) fn over(self, below: Self) -> Self {
        let Self {
            app,
            no_discovery,
            poll_interval,
            retries,
            retry_interval,
            call_timeout,
            ignore_unsupported,
            expose_result,
        } = self;
        Self {
            app: list(app, below.app),
            no_discovery: no_discovery.or(below.no_discovery),
            poll_interval: poll_interval.or(below.poll_interval),
            retries: retries.or(below.retries),
            retry_interval: retry_interval.or(below.retry_interval),
            call_timeout: call_timeout.or(below.call_timeout),
            ignore_unsupported: list(ignore_unsupported, below.ignore_unsupported),
            expose_result: list(expose_result, below.expose_result),
        }
    }
}

/// Where an app answers calls of its functions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AppUrl(String);

/// A text that is no app's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("app `{0}` is no address of one; give it as `http://localhost:3000/api/inngest`")]
pub(crate) struct BadAppUrl(String);

/// An option of functions that is not followed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Unsupported(pub(crate) config::Unsupported);

/// A text that is no such option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no option that could be ignored; those are {known}")]
pub(crate) struct BadUnsupported {
    given: String,
    known: String,
}

/// A function's id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct FunctionName(pub(crate) FunctionId);

impl FromStr for AppUrl {
    type Err = BadAppUrl;

    fn from_str(text: &str) -> Result<Self, BadAppUrl> {
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"));
        let is_address = rest.is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            !host.is_empty() && !rest.bytes().any(|byte| byte.is_ascii_whitespace())
        });
        if is_address {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadAppUrl(text.chars().take(128).collect()))
        }
    }
}

impl TryFrom<String> for AppUrl {
    type Error = BadAppUrl;

    fn try_from(text: String) -> Result<Self, BadAppUrl> {
        text.parse()
    }
}

impl fmt::Display for AppUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Unsupported {
    type Err = BadUnsupported;

    fn from_str(text: &str) -> Result<Self, BadUnsupported> {
        let known = config::Unsupported::ALL;
        let asked = known.iter().find(|known| known.as_str() == text);
        asked.copied().map(Self).ok_or_else(|| {
            let known: Vec<_> = known.iter().map(|known| known.as_str()).collect();
            BadUnsupported {
                given: text.chars().take(64).collect(),
                known: known.join(", "),
            }
        })
    }
}

impl TryFrom<String> for Unsupported {
    type Error = BadUnsupported;

    fn try_from(text: String) -> Result<Self, BadUnsupported> {
        text.parse()
    }
}

impl FromStr for FunctionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        FunctionId::parse(text).map(Self)
    }
}

impl TryFrom<String> for FunctionName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_have_addresses() {
        assert!(
            "http://localhost:3000/api/inngest"
                .parse::<AppUrl>()
                .is_ok()
        );
        for bad in [
            "",
            "localhost:3000",
            "http://",
            "http:///x",
            "http://a b",
            "ftp://a",
        ] {
            let error = bad.parse::<AppUrl>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
    }

    #[test]
    fn what_can_be_ignored_is_named() {
        assert_eq!(
            "throttle".parse(),
            Ok(Unsupported(config::Unsupported::Throttle))
        );
        let error = "retries".parse::<Unsupported>().unwrap_err().to_string();
        assert!(
            error.contains("`retries`") && error.contains("batchEvents"),
            "{error}"
        );
    }
}
