//! Pages of npm `inngest` show a channel, not a run: they want to be told when the run behind it has ended, and close for good when they
//! are. So only a channel that is named after the run is told, once, when every run of the same event has ended, and after its last message.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepcast_protocol::{Event, Origin, RunId, RunStatus, TopicName, run::RUN_TOPIC};

use super::{Runs, cell::RunCell};
use crate::{
    hub::{Channel, Draft},
    store::{Outcome, RunQuery, RunRow, StoreError},
};

/// How long after a channel's last message it is told. Such pages take in messages with a delay.
const PAUSE: Duration = Duration::from_millis(60);
/// How long it waits for such a pause at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events with more data are not searched for an id of the application's own.
const SEARCHED_BYTES: usize = 64 * 1024;

/// What an application may have named a channel after.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "runId")]
    camel: Option<String>,
    #[serde(rename = "run_id")]
    snake: Option<String>,
}

/// What pages are told.
#[derive(Serialize)]
struct Ended<'a> {
    status: RunStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

/// Segments of names that make a channel the run's own.
fn keys(run: RunId, event: &Event) -> Vec<String> {
    let mut keys = vec![run.to_string(), event.id.to_string()];
    if event.data.len() <= SEARCHED_BYTES
        && let Ok(Named { camel, snake }) = serde_json::from_slice(&event.data)
    {
        keys.extend(camel.into_iter().chain(snake).filter(|key| !key.is_empty()));
    }
    keys
}

impl Runs {
    /// A run has ended: the channels that are named after it are told, if somebody reads them.
    pub(super) fn tell_owned(&self, cell: &RunCell) {
        let channels: Vec<_> = keys(cell.id, &cell.event)
            .iter()
            .flat_map(|key| self.0.hub.read_and_named_after(key))
            .collect();
        if channels.is_empty() {
            return;
        }
        let (runs, id, event) = (self.clone(), cell.id, cell.event.id);
        self.0.background.spawn(async move {
            match runs.end_of_all(id, event).await {
                Ok(Some(row)) => {
                    for channel in channels {
                        runs.tell_ended(&channel, &row).await;
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(run = %id, %error, "readers of the run's channel could not be told that it has ended"),
            }
        });
    }

    /// The run whose status counts, when `id` is the last run of its event to end.
    async fn end_of_all(
        &self,
        id: RunId,
        event: stepcast_protocol::EventId,
    ) -> Result<Option<RunRow>, StoreError> {
        let limit = stepcast_protocol::limits::PAGE_ROWS;
        let rows = self.0.store.runs(RunQuery::OfEvent(event, limit)).await?;
        let all_ended = rows.iter().all(|row| row.phase.is_final());
        let last = rows.iter().max_by_key(|row| (row.ended_at, row.id));
        if !all_ended || last.is_none_or(|last| last.id != id) {
            return Ok(None);
        }
        let began = |row: &RunRow| (row.started_at.unwrap_or(row.created_at), row.id);
        Ok(rows.into_iter().min_by_key(began))
    }

    async fn tell_ended(&self, channel: &Arc<Channel>, row: &RunRow) {
        let latest = self.0.clock.now() + PATIENCE;
        loop {
            let at = latest.min(channel.used_at() + PAUSE);
            if at <= self.0.clock.now() {
                break;
            }
            self.0.clock.wait_until(at).await;
        }
        let topic = TopicName::parse(RUN_TOPIC).expect("the engine's topics have names");
        let origin = Arc::new(Origin {
            run: row.id,
            step: None,
            attempt: row.attempt,
        });
        let draft = Draft::ended(topic, self.ended(row), origin);
        if let Err(error) = self.0.hub.post(channel, draft, |_, _| {}, |_| {}) {
            tracing::debug!(channel = %channel.name(), %error, "readers were not told that a run has ended");
        }
    }

    fn ended(&self, row: &RunRow) -> Bytes {
        let result = match &row.outcome {
            Some(Outcome::Ok(json)) if self.0.exposes_result(row) => {
                serde_json::from_slice(json).ok()
            }
            Some(_) | None => None,
        };
        let ended = Ended {
            status: row.phase.status(),
            result,
        };
        serde_json::to_vec(&ended)
            .expect("a status and JSON can always be written as JSON")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::samples;

    #[test]
    fn a_channel_is_the_runs_own_by_its_ids_and_those_of_the_application() {
        let event = Event {
            data: Bytes::from_static(br#"{"runId":"r1","run_id":"r2","other":"r3"}"#),
            ..(*samples::event(1, "e")).clone()
        };
        let run = samples::run_id(2);
        let expected = [
            run.to_string(),
            event.id.to_string(),
            "r1".into(),
            "r2".into(),
        ];
        assert_eq!(keys(run, &event), expected);
        let event = Event {
            data: Bytes::from_static(br#"{"runId":7}"#),
            ..event
        };
        assert_eq!(keys(run, &event).len(), 2);
    }
}
