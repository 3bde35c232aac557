//! The engine's own events: what became of a run, that a function was called by another, that a time has come.
//!
//! Functions are triggered by them as by any event. That is how the handler of a function's failures works: it is a function
//! of its own, triggered by [`FUNCTION_FAILED`].

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    ids::RunId,
    names::{EventName, FunctionId},
    sdk::{event::SdkEvent, failure::Failure, json::Json, step::StepHash},
    timestamp::Timestamp,
};

/// A run ended.
pub const FUNCTION_FINISHED: &str = "inngest/function.finished";
/// A run failed.
pub const FUNCTION_FAILED: &str = "inngest/function.failed";
/// A run was cancelled.
pub const FUNCTION_CANCELLED: &str = "inngest/function.cancelled";
/// A function was called by another.
pub const FUNCTION_INVOKED: &str = "inngest/function.invoked";
/// A time has come.
pub const SCHEDULED_TIMER: &str = "inngest/scheduled.timer";

/// An event of the engine's own, before the engine has given it an id and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalEvent {
    /// Its name.
    pub name: EventName,
    /// Its data: one JSON object.
    pub data: Json,
    /// What makes it the same event when it is sent twice.
    pub key: Option<String>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd<'a> {
    /// The run.
    pub run: RunId,
    /// Its function.
    pub function: &'a FunctionId,
    /// The events that started it.
    pub events: &'a [SdkEvent],
    /// The step that waits for it, when another function called it.
    pub caller: Option<Caller>,
    /// How it ended.
    pub ending: Ending<'a>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending<'a> {
    /// Its function returned this.
    Completed(&'a Json),
    /// Its function failed with this.
    Failed(&'a Failure),
    /// Somebody cancelled it.
    Cancelled,
}

/// The step of a run that called a function, written `<run>.<step>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepHash,
}

/// A function that is called by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation<'a> {
    /// Who called.
    pub caller: Caller,
    /// The function that called.
    pub calling: &'a FunctionId,
    /// What its user calls the step.
    pub name: &'a str,
    /// The function that is called.
    pub called: &'a FunctionId,
    /// What it is called with: one JSON object, or `null`.
    pub data: &'a Json,
    /// When the caller goes on without it.
    pub expires: Timestamp,
}

/// A time of a cron trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronTick<'a> {
    /// The trigger, as it was written.
    pub cron: &'a str,
    /// The time.
    pub scheduled_at: Timestamp,
    /// The time with its random delay.
    pub fire_at: Timestamp,
}

impl RunEnd<'_> {
    /// The events that say so: [`FUNCTION_FINISHED`] always, and before it what is special about the end.
    ///
    /// Runs that such an event started are to end without, or they would go on for ever.
    #[must_use]
    pub fn events(&self) -> Vec<InternalEvent> {
        let data = Json::of(&self.data());
        let special = match self.ending {
            Ending::Completed(_) => None,
            Ending::Failed(_) => Some(FUNCTION_FAILED),
            Ending::Cancelled => Some(FUNCTION_CANCELLED),
        };
        let special = special.map(|name| event(name, data.clone(), Some(self.run.to_string())));
        let finished = event(FUNCTION_FINISHED, data, None);
        special.into_iter().chain([finished]).collect()
    }

    fn data(&self) -> EndData<'_> {
        let (status, result, error) = match &self.ending {
            Ending::Completed(result) => ("Completed", Some(*result), None),
            Ending::Failed(failure) => ("Failed", Some(&failure.json), Some(Thrown::of(failure))),
            Ending::Cancelled => ("Cancelled", None, None),
        };
        EndData {
            function_id: self.function,
            run_id: self.run,
            event: self.events.first(),
            events: self.events,
            result,
            error,
            correlation_id: self.caller.map(|caller| caller.to_string()),
            status: Status { status },
        }
    }
}

#[derive(Serialize)]
struct EndData<'a> {
    function_id: &'a FunctionId,
    run_id: RunId,
    event: Option<&'a SdkEvent>,
    events: &'a [SdkEvent],
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Thrown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(rename = "_inngest")]
    status: Status,
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// What a handler of failures sees of an error.
#[derive(Serialize)]
struct Thrown<'a> {
    error: &'a str,
    name: &'a str,
    message: &'a str,
    stack: &'a str,
}

impl<'a> Thrown<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            error: &failure.name,
            name: &failure.name,
            message: &failure.message,
            stack: &failure.stack,
        }
    }
}

impl Invocation<'_> {
    /// The event that starts the function: its data and, in `_inngest`, who called.
    #[must_use]
    pub fn event(&self) -> InternalEvent {
        let call = Json::of(&CallData {
            fn_id: self.called,
            correlation_id: self.caller.to_string(),
            expire: self.expires,
            name: self.name,
            source_fn_id: self.calling,
        });
        let mut data: BTreeMap<String, Json> = BTreeMap::new();
        if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(self.data.get()) {
            data.extend(members.into_iter().map(|(key, value)| (key, value.into())));
        }
        data.insert("_inngest".to_owned(), call);
        event(FUNCTION_INVOKED, Json::of(&data), None)
    }
}

#[derive(Serialize)]
struct CallData<'a> {
    fn_id: &'a FunctionId,
    correlation_id: String,
    expire: Timestamp,
    name: &'a str,
    source_fn_id: &'a FunctionId,
}

impl CronTick<'_> {
    /// The event that starts the function; the same for the same time, however often it is sent.
    #[must_use]
    pub fn event(&self) -> InternalEvent {
        let data = TickData {
            cron: self.cron,
            scheduled_at: self.scheduled_at.to_string(),
            fire_at: self.fire_at.to_string(),
        };
        let key = Some(data.scheduled_at.clone());
        event(SCHEDULED_TIMER, Json::of(&data), key)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TickData<'a> {
    cron: &'a str,
    scheduled_at: String,
    fire_at: String,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.run, self.step)
    }
}

/// A text that does not name a step of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a run's id, a dot and a step's hash")]
pub struct CallerError(String);

impl FromStr for Caller {
    type Err = CallerError;

    fn from_str(text: &str) -> Result<Self, CallerError> {
        let caller = || {
            let (run, step) = text.split_once('.')?;
            Some(Self {
                run: run.parse().ok()?,
                step: step.parse().ok()?,
            })
        };
        caller().ok_or_else(|| CallerError(text.chars().take(80).collect()))
    }
}

fn event(name: &'static str, data: Json, key: Option<String>) -> InternalEvent {
    let name = EventName::parse(name).expect("the engine's own names are names");
    InternalEvent { name, data, key }
}

#[cfg(test)]
mod tests;
