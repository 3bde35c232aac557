//! A function as the engine needs to know it: what starts it, how many of its runs execute, and what ends them from outside.

use std::time::Duration;

use stepcast_protocol::{EventName, EventPattern, FunctionId, limits};

use super::{lanes::Limit, seen::Seen};
use crate::{
    expression::{Bound, Expression, Scope},
    schedule::{Jitter, Schedule},
    store::Guards,
};

/// A function as the engine needs to know it.
#[derive(Debug, Clone)]
pub struct FunctionConfig {
    /// Its id.
    pub id: FunctionId,
    /// Which events start it.
    pub triggers: Vec<Trigger>,
    /// At which times it is started.
    pub crons: Vec<Cron>,
    /// How many of its runs execute at once.
    pub concurrency: usize,
    /// How many runs with one key execute at once.
    pub limits: Vec<KeyLimit>,
    /// What an event's value is that starts it at most once within [`limits::IDEMPOTENCY_WINDOW`].
    pub idempotency: Option<Expression>,
    /// Which events end its runs.
    pub cancel_on: Vec<CancelOn>,
    /// How long after its creation a run has to have begun; otherwise it is cancelled.
    pub starts_within: Option<Duration>,
    /// How long after its beginning a run has to have ended; otherwise it is cancelled.
    pub ends_within: Option<Duration>,
    /// Whether pages of npm `inngest` see what it returned without a token that names `$run`.
    pub exposes_result: bool,
    /// Whether messages from outside that name a run, while it is held, are what its body says: of functions that publish over HTTP.
    pub speaks_from_outside: bool,
    /// Whether the end of a run is an event of its own: `inngest/function.finished`, with `.failed` or `.cancelled` beside it.
    pub announces_end: bool,
}

/// Which events start a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Their names.
    pub event: EventPattern,
    /// What must hold of them, as `event`.
    pub condition: Option<Expression>,
}

/// Times at which a function is started, by an event `inngest/scheduled.timer` that starts nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// When.
    pub schedule: Schedule,
    /// By how much later, at most.
    pub jitter: Option<Jitter>,
}

/// How many runs of one key execute at once.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyLimit {
    /// How many.
    pub runs: usize,
    /// What the key is made of, with the run's event as `event`. Without one, all runs have the same.
    pub key: Option<Expression>,
    /// Whose runs are counted together.
    pub scope: LimitScope,
}

/// Whose runs are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// Those of the function.
    Function,
    /// Those of every function that counts in the environment.
    Environment,
    /// Those of every function that counts in the account.
    Account,
}

/// Which events end a run.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelOn {
    /// Their name.
    pub event: EventName,
    /// What must hold of them, as `async`, and of the run's event, as `event`.
    pub condition: Option<Expression>,
    /// For how long after the run's creation they count; always when absent.
    pub within: Option<Duration>,
}

impl FunctionConfig {
    /// A function with the default bounds, which these events start.
    #[must_use]
    pub fn new(id: FunctionId, triggers: Vec<EventName>) -> Self {
        Self {
            id,
            triggers: triggers.into_iter().map(Trigger::from).collect(),
            crons: Vec::new(),
            concurrency: limits::CONCURRENCY_PER_FUNCTION,
            limits: Vec::new(),
            idempotency: None,
            cancel_on: Vec::new(),
            starts_within: None,
            ends_within: None,
            exposes_result: false,
            speaks_from_outside: false,
            announces_end: false,
        }
    }

    /// Whether the event starts it. A condition that has no value for the event does not hold.
    pub(super) fn is_started_by(&self, seen: &Seen<'_>) -> bool {
        let holds = |trigger: &Trigger| {
            match &trigger.condition {
            None => true,
            Some(condition) => condition.holds(Scope::of(seen.value())).unwrap_or_else(|error| {
                tracing::warn!(function = %self.id, event = %seen.name(), %error, "a trigger is taken not to match");
                false
            }),
        }
        };
        let mut matching = self
            .triggers
            .iter()
            .filter(|trigger| trigger.event.matches(seen.name()));
        matching.any(holds)
    }

    /// The keys of a run that the event starts, one for each limit. One that has no value is shared by all that have none.
    pub(super) fn keys(&self, seen: &Seen<'_>) -> Vec<String> {
        let key = |limit: &KeyLimit| match &limit.key {
            None => String::new(),
            Some(key) => match key.value(Scope::of(seen.value())) {
                Ok(value) => value.to_string(),
                Err(error) => {
                    tracing::warn!(function = %self.id, event = %seen.name(), %error, "a run has no key of its own");
                    String::new()
                }
            },
        };
        self.limits.iter().map(key).collect()
    }

    /// What this event may start it with only once. One that has no value may start it any time.
    pub(super) fn idempotency_key(&self, seen: &Seen<'_>) -> Option<String> {
        let value = self.idempotency.as_ref()?.value(Scope::of(seen.value()));
        match value {
            Ok(value) => Some(value.to_string()),
            Err(error) => {
                tracing::warn!(function = %self.id, event = %seen.name(), %error, "a run starts however often its event comes");
                None
            }
        }
    }

    pub(super) fn lane_limits(&self) -> Vec<Limit> {
        let limit = |limit: &KeyLimit| Limit {
            runs: limit.runs.max(1),
            shared: match limit.scope {
                LimitScope::Function => None,
                LimitScope::Environment => Some("environment"),
                LimitScope::Account => Some("account"),
            },
        };
        self.limits.iter().map(limit).collect()
    }

    pub(super) fn guards(&self) -> Guards {
        Guards {
            cancel_on: self
                .cancel_on
                .iter()
                .map(|cancel| cancel.event.clone())
                .collect(),
            starts_within: self.starts_within,
            ends_within: self.ends_within,
            // Where it does not, the registry says the same, and most rows stay as small as they were.
            announces_end: self.announces_end.then_some(true),
        }
    }
}

impl CancelOn {
    /// What to look for, once the run's event is known.
    pub(super) fn bound(&self, seen: &Seen<'_>) -> Bound {
        match &self.condition {
            None => Bound {
                matching: Vec::new(),
                rest: None,
            },
            Some(condition) => condition.bind(seen.value()),
        }
    }
}

impl From<EventName> for Trigger {
    fn from(event: EventName) -> Self {
        Self {
            event: EventPattern::Name(event),
            condition: None,
        }
    }
}
