//! A run as the outside sees it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    error::ErrorCode,
    ids::{EventId, RunId},
    names::{FunctionId, StepId},
    sdk::Json,
};

/// The topic on a run's own channel that says where the run is.
pub const RUN_TOPIC: &str = "$run";
/// The topic on a run's own channel that says where its steps are.
pub const STEP_TOPIC: &str = "$step";

/// Where a run is in its life. `Completed`, `Failed` and `Cancelled` are final.
///
/// Written in small letters. The words that SDKs' users know (`Scheduled`, `Running`, `Completed`, …) are read as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Waits for its turn, for its time, or for its next attempt.
    #[serde(alias = "Scheduled")]
    Queued,
    /// Executes, or waits for something inside one of its steps.
    #[serde(alias = "Running")]
    Running,
    /// Its function returned.
    #[serde(alias = "Completed")]
    Completed,
    /// Its function failed for good.
    #[serde(alias = "Failed")]
    Failed,
    /// Somebody cancelled it.
    #[serde(alias = "Cancelled")]
    Cancelled,
}

impl RunStatus {
    /// Whether the run can never change again.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Completed | Self::Failed | Self::Cancelled => true,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a step or a run failed, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The code's name; `function_failed` for what user code returned.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// What lies behind it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The error as the SDK wrote it that ran the function, with its stack; it gets it back like that. Readers of a run are not shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<Json>,
}

impl RunError {
    /// An error of the engine's own.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl ToString) -> Self {
        Self {
            code: code.as_str().to_owned(),
            message: message.to_string(),
            causes: Vec::new(),
            sdk: None,
        }
    }

    /// What readers of a run are shown of it.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self {
            code: self.code.clone(),
            message: self.message.clone(),
            causes: self.causes.clone(),
            sdk: None,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// Where a run is, as [`RUN_TOPIC`] says it to those who watch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunNews {
    /// The run.
    pub run_id: RunId,
    /// Its function.
    pub function_id: FunctionId,
    /// Where it is.
    pub status: Progress,
    /// Which attempt of the function's body this is, from 1.
    pub attempt: u32,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; nothing while it is queued for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// RFC 3339; nothing while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// RFC 3339: when it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// Why it failed, or why its last attempt did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// What the function returned, if it lets those who watch see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
}

/// Where one step of a run is, as [`STEP_TOPIC`] says it to those who watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNews {
    /// The step.
    pub step_id: StepId,
    /// What it does: `run`, `publish`, `sleep`, `wait_for_event`, `invoke`, `send_event`.
    pub verb: String,
    /// What it does it to: `channel topic` of a publish, the event of a wait, the function of an invoke.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Where it is.
    pub status: Progress,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// RFC 3339: when its first attempt began.
    pub began_at: String,
    /// Milliseconds from there to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// RFC 3339: when it is tried again, or when its wait ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// Why it failed, or why its last attempt did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
}

/// How far a run or a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// A run that waits for its turn or its time.
    Queued,
    /// It executes.
    Running,
    /// An attempt failed; the next one waits for its time.
    Retrying,
    /// A step whose wait is recorded.
    Waiting,
    /// It returned.
    Completed,
    /// It failed for good.
    Failed,
    /// A run that somebody cancelled.
    Cancelled,
}

impl From<RunStatus> for Progress {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Queued => Self::Queued,
            RunStatus::Running => Self::Running,
            RunStatus::Completed => Self::Completed,
            RunStatus::Failed => Self::Failed,
            RunStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// One run, as `GET /v1/runs/{id}` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub run_id: RunId,
    /// Its function.
    pub function_id: FunctionId,
    /// What started it.
    pub event_id: EventId,
    /// Where it is.
    pub status: RunStatus,
    /// Which attempt of the function's body this is, from 1.
    pub attempt: u32,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; nothing while it is queued for the first time.
    pub run_started_at: Option<String>,
    /// RFC 3339; nothing while it goes on.
    pub ended_at: Option<String>,
    /// What the function returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Box<RawValue>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// Options that its function asks for and that are not followed, as its app was registered last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}
