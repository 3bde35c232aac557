//! Events and runs in the form in which users of SDKs know them.

use serde::Serialize;
use serde_json::value::RawValue;
use stepcast_protocol::{
    Event, EventId, FunctionId, RunError, RunId, RunStatus, RunView, sdk::Failure,
};

/// The one account and the one environment there are.
const ACCOUNT: &str = "00000000-0000-4000-a000-000000000000";
const ENVIRONMENT: &str = "00000000-0000-4000-b000-000000000000";

/// An event.
#[derive(Serialize)]
pub(super) struct ShownEvent {
    internal_id: EventId,
    account_id: &'static str,
    environment_id: &'static str,
    source: &'static str,
    source_id: &'static str,
    received_at: String,
    id: Option<String>,
    name: String,
    data: Box<RawValue>,
    ts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<String>,
}

impl From<&Event> for ShownEvent {
    fn from(event: &Event) -> Self {
        let user = event.extras.user.as_ref();
        let data = String::from_utf8_lossy(&event.data).into_owned();
        Self {
            internal_id: event.id,
            account_id: ACCOUNT,
            environment_id: ENVIRONMENT,
            source: "",
            source_id: "",
            received_at: event.id.created_at().to_string(),
            id: event.key.clone(),
            name: event.name.to_string(),
            data: RawValue::from_string(data).unwrap_or_default(),
            ts: event.at.as_millis(),
            user: user.and_then(|user| serde_json::from_slice(user).ok()),
            v: event.extras.v.clone(),
        }
    }
}

/// A run. Beside what SDKs' users know it has what clients of our own read.
#[derive(Serialize)]
pub(super) struct ShownRun {
    run_id: RunId,
    function_id: FunctionId,
    function_version: u32,
    environment_id: &'static str,
    event_id: EventId,
    status: &'static str,
    attempt: u32,
    created_at: String,
    run_started_at: Option<String>,
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RunError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
}

impl From<RunView> for ShownRun {
    fn from(run: RunView) -> Self {
        let RunView {
            run_id,
            function_id,
            event_id,
            status,
            attempt,
            created_at,
            run_started_at,
            ended_at,
            output,
            error,
            ignored,
        } = run;
        Self {
            status: word(status, run_started_at.is_some()),
            output: output.or_else(|| error.as_ref().map(thrown)),
            function_version: 1,
            environment_id: ENVIRONMENT,
            run_id,
            function_id,
            event_id,
            attempt,
            created_at,
            run_started_at,
            ended_at,
            error: error.as_ref().map(RunError::shown),
            ignored,
        }
    }
}

/// A run that waits in the middle counts as running.
fn word(status: RunStatus, has_begun: bool) -> &'static str {
    match status {
        RunStatus::Queued if !has_begun => "Scheduled",
        RunStatus::Queued | RunStatus::Running => "Running",
        RunStatus::Completed => "Completed",
        RunStatus::Failed => "Failed",
        RunStatus::Cancelled => "Cancelled",
    }
}

/// An error as the SDK wrote it, or would have.
fn thrown(error: &RunError) -> Box<RawValue> {
    serde_json::value::to_raw_value(&Failure::from(error)).unwrap_or_default()
}

/// What is still to be done for a run.
#[derive(Serialize)]
pub(super) struct ShownJob {
    #[serde(rename = "JobID")]
    id: String,
    at: String,
    position: u32,
    kind: &'static str,
    attempt: u32,
    #[serde(rename = "Raw")]
    raw: (),
}

impl From<&RunView> for ShownJob {
    fn from(run: &RunView) -> Self {
        let at = run.run_started_at.as_ref().unwrap_or(&run.created_at);
        Self {
            id: run.run_id.to_string(),
            at: at.clone(),
            position: 0,
            kind: match run.run_started_at {
                None => "start",
                Some(_) => "edge",
            },
            attempt: run.attempt.saturating_sub(1),
            raw: (),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepcast_protocol::ErrorCode;

    use super::*;

    #[test]
    fn clients_of_our_own_read_the_words_of_sdks() {
        for status in [
            RunStatus::Queued,
            RunStatus::Running,
            RunStatus::Completed,
            RunStatus::Failed,
            RunStatus::Cancelled,
        ] {
            let text = format!("\"{}\"", word(status, false));
            assert_eq!(serde_json::from_str::<RunStatus>(&text).unwrap(), status);
        }
    }

    #[test]
    fn an_error_is_shown_as_its_sdk_wrote_it_and_one_of_our_own_alike() {
        let written =
            r#"{"name":"NonRetriableError","message":"fatal","stack":"at fn","__serialized":true}"#;
        let theirs = RunError::from(&Failure::read(written.as_bytes()));
        assert_eq!(theirs.message, "NonRetriableError: fatal");
        assert_eq!(thrown(&theirs).get(), written);
        let ours = RunError::new(ErrorCode::Unreachable, "nobody listens there");
        let shown: serde_json::Value = serde_json::from_str(thrown(&ours).get()).unwrap();
        assert_eq!(shown["name"], "unreachable");
        assert_eq!(shown["message"], "nobody listens there");
    }
}
