//! What holds a function's runs back and what stops them.

use std::time::Duration;

use serde_json::Value;

use super::{error::ConfigError, options::Options, trigger};
use crate::{limits, pattern::EventPattern, sdk::until::Until};

/// How many steps may execute at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// So many, from 1.
    pub limit: u32,
    /// Steps of runs whose events give different values for this do not count together.
    pub key: Option<String>,
    /// Whose steps count together.
    pub scope: Scope,
}

/// Whose steps count together. Those of several functions do only if their keys are written alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// The function's.
    #[default]
    Function,
    /// Those of all functions of the environment.
    Environment,
    /// Those of all functions of the account.
    Account,
}

/// An event that cancels runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Its name.
    pub event: EventPattern,
    /// What must hold of the run's own event (`event`) and this one (`async`).
    pub expression: Option<String>,
    /// After which it does not cancel any more.
    pub timeout: Option<Until>,
}

/// How long runs may take before they are cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// Until they start.
    pub start: Option<Duration>,
    /// From their start to their end.
    pub finish: Option<Duration>,
}

const WHOLE: &str = "a whole number from 0, where 0 means no limit";

/// A number, a rule, or a list of rules. A limit of 0 is none.
pub(super) fn concurrency(options: &Options<'_>) -> Result<Vec<Concurrency>, ConfigError> {
    if options.value("concurrency").is_some_and(Value::is_number) {
        let limit = options.number("concurrency", u32::MAX, WHOLE)?;
        let rule = |limit| Concurrency {
            limit,
            key: None,
            scope: Scope::Function,
        };
        return Ok(limit
            .filter(|limit| *limit > 0)
            .map(rule)
            .into_iter()
            .collect());
    }
    let rules = options.objects("concurrency", limits::CONCURRENCY_RULES)?;
    let rules = rules.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    Ok(rules.into_iter().filter(|rule| rule.limit > 0).collect())
}

fn rule(options: &Options<'_>) -> Result<Concurrency, ConfigError> {
    let limit = options.number("limit", u32::MAX, WHOLE)?;
    let rule = Concurrency {
        limit: limit.ok_or_else(|| options.missing("limit", WHOLE))?,
        key: options.expression("key")?,
        scope: scope(options)?,
    };
    match rule.scope {
        Scope::Environment | Scope::Account if rule.key.is_none() => Err(options.missing(
            "key",
            "an expression, as `scope` reaches beyond the function",
        )),
        Scope::Function | Scope::Environment | Scope::Account => Ok(rule),
    }
}

fn scope(options: &Options<'_>) -> Result<Scope, ConfigError> {
    match options.text("scope")? {
        None | Some("fn") => Ok(Scope::Function),
        Some("env") => Ok(Scope::Environment),
        Some("account") => Ok(Scope::Account),
        Some(other) => Err(options.wrong("scope", &Value::from(other), "`fn`, `env` or `account`")),
    }
}

pub(super) fn cancel(options: &Options<'_>) -> Result<Vec<Cancel>, ConfigError> {
    let cancels = options.objects("cancel", limits::CANCELS_PER_FUNCTION)?;
    let cancel = |options: &Options<'_>| {
        Ok(Cancel {
            event: trigger::pattern(options)?,
            expression: options.expression("if")?,
            timeout: options.until("timeout")?,
        })
    };
    cancels.iter().map(cancel).collect()
}

pub(super) fn timeouts(options: &Options<'_>) -> Result<Timeouts, ConfigError> {
    let Some(timeouts) = options.object("timeouts")? else {
        return Ok(Timeouts::default());
    };
    Ok(Timeouts {
        start: timeouts.duration("start")?,
        finish: timeouts.duration("finish")?,
    })
}
