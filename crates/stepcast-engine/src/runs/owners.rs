//! Pages of npm `inngest` show a channel, not a run: they want to be told when the run behind it has ended, and close for good when they
//! are. So a channel that is named after the run is told, once, when every run that it is named after has ended, and after its last message;
//! others are when [`RunFrames`] says so, or a page asks for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepcast_protocol::{
    Event, EventId, Kind, Origin, RunId, RunStatus, Timestamp, Told, TopicName, limits,
    run::RUN_TOPIC,
};

use super::{RunFrames, Runs, cell::RunCell};
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

/// Segments of names that make a channel the run's own; the run's id is the first.
pub(super) fn keys(run: RunId, event: &Event) -> Vec<String> {
    let mut keys = vec![run.to_string(), event.id.to_string()];
    if event.data.len() <= SEARCHED_BYTES
        && let Ok(Named { camel, snake }) = serde_json::from_slice(&event.data)
    {
        keys.extend(camel.into_iter().chain(snake).filter(|key| !key.is_empty()));
    }
    keys
}

/// The last ends of events whose channels were told a moment ago: of several runs that have ended in the same millisecond, one tells.
#[derive(Debug, Default)]
pub(super) struct LastEnds(Mutex<BTreeMap<EventId, Timestamp>>);

impl LastEnds {
    fn is_first(&self, event: EventId, last_end: Timestamp, now: Timestamp) -> bool {
        let mut told = self.0.lock();
        // Who has waited for its handlers comes this late at most.
        told.retain(|_, at| *at + 2 * PATIENCE > now);
        told.insert(event, last_end) != Some(last_end)
    }
}

/// Who of those at a channel is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    All,
    Followers,
}

/// Channels to be told, by whose end counts for them.
struct Own {
    /// Named by the run's id: the run's.
    of_run: Vec<Arc<Channel>>,
    /// Named after its event: that of all runs of the event.
    of_event: Vec<Arc<Channel>>,
}

impl Own {
    fn has(&self, channel: &Arc<Channel>) -> bool {
        let mut all = self.of_run.iter().chain(&self.of_event);
        all.any(|own| Arc::ptr_eq(own, channel))
    }
}

/// Runs that handle a failure and have not ended, by the event of the run that has failed: the channels that are named after it are told
/// when these have ended, too, whichever of its runs ends last.
#[derive(Default)]
pub(super) struct OpenHandlers(Mutex<BTreeMap<EventId, BTreeSet<RunId>>>);

impl OpenHandlers {
    fn add(&self, event: EventId, handlers: &[RunId]) {
        self.0.lock().entry(event).or_default().extend(handlers);
    }

    fn of(&self, event: EventId) -> Vec<RunId> {
        let open = self.0.lock();
        open.get(&event).into_iter().flatten().copied().collect()
    }

    fn remove(&self, event: EventId, handler: RunId) {
        let mut open = self.0.lock();
        if let Some(handlers) = open.get_mut(&event) {
            handlers.remove(&handler);
            if handlers.is_empty() {
                open.remove(&event);
            }
        }
    }
}

impl Runs {
    /// A run has ended: the channels that are to be told are, if somebody reads them, once what its failure has started has ended, too.
    pub(super) fn tell_end(&self, cell: &RunCell, row: RunRow, handlers: Vec<RunId>) {
        let looks_further = match self.0.frames {
            RunFrames::Off => return,
            RunFrames::Own => self.0.hub.has_followers(),
            RunFrames::All => true,
        };
        self.watch_handlers(row.event, &handlers);
        let own = self.own(cell);
        if !looks_further && own.of_run.is_empty() && own.of_event.is_empty() {
            return;
        }
        let runs = self.clone();
        self.0.background.spawn(async move {
            let id = row.id;
            runs.await_handlers(id, &handlers).await;
            let mut told = runs.tell_own(&row, &own).await;
            if looks_further {
                told = told.and(runs.tell_others(&row, &own).await);
            }
            if let Err(error) = told {
                tracing::warn!(run = %id, %error, "readers of a run's channels could not be told that it has ended");
            }
        });
    }

    /// Knows these as open until they have ended.
    fn watch_handlers(&self, event: EventId, handlers: &[RunId]) {
        if handlers.is_empty() {
            return;
        }
        self.0.open_handlers.add(event, handlers);
        for handler in handlers.iter().copied() {
            let runs = self.clone();
            self.0.background.spawn(async move {
                if let Err(error) = runs.await_end(handler).await {
                    tracing::warn!(run = %handler, %error, "what handles a run's failure is not waited for any more");
                }
                runs.0.open_handlers.remove(event, handler);
            });
        }
    }

    /// Waits until what handles the failure of a run has ended, for as long as there is patience.
    async fn await_handlers(&self, run: RunId, handlers: &[RunId]) {
        let all = async {
            for handler in handlers {
                self.await_end(*handler).await?;
            }
            Ok::<_, StoreError>(())
        };
        let latest = self.0.clock.now() + PATIENCE;
        tokio::select! {
            ended = all => if let Err(error) = ended {
                tracing::warn!(%run, %error, "what handles a run's failure was not waited for");
            },
            () = self.0.clock.wait_until(latest) => {}
        }
    }

    async fn await_end(&self, run: RunId) -> Result<(), StoreError> {
        loop {
            let end = self.end_of(run);
            let row = self.0.store.run_row(run).await?;
            if row.is_none_or(|row| row.phase.is_final()) {
                return Ok(());
            }
            // Or the store was reopened, and it may have ended meanwhile.
            end.await.ok();
        }
    }

    fn own(&self, cell: &RunCell) -> Own {
        let keys = keys(cell.id, &cell.event);
        let (run, event) = keys.split_at(1);
        let named_after = |keys: &[String]| -> Vec<_> {
            keys.iter()
                .flat_map(|key| self.0.hub.read_and_named_after(key))
                .collect()
        };
        let of_run = named_after(run);
        let mut of_event: Vec<Arc<Channel>> = Vec::new();
        for channel in named_after(event) {
            let mut known = of_run.iter().chain(&of_event);
            if !known.any(|known| Arc::ptr_eq(known, &channel)) {
                of_event.push(channel);
            }
        }
        Own { of_run, of_event }
    }

    async fn tell_own(&self, row: &RunRow, own: &Own) -> Result<(), StoreError> {
        for channel in &own.of_run {
            self.tell_at_rest(channel, row, Audience::All);
        }
        if own.of_event.is_empty() {
            return Ok(());
        }
        // Those of its other runs.
        self.await_handlers(row.id, &self.0.open_handlers.of(row.event))
            .await;
        if let Some(first) = self.end_of_all(row.id, row.event).await? {
            for channel in &own.of_event {
                self.tell_at_rest(channel, &first, Audience::All);
            }
        }
        Ok(())
    }

    /// Tells channels on which the run has published: everybody there, or those who ask for runs.
    async fn tell_others(&self, row: &RunRow, own: &Own) -> Result<(), StoreError> {
        let (limit, mut after) = (limits::PAGE_ROWS, None);
        loop {
            let names = self.0.store.channels_of(row.id, after, limit).await?;
            let read = names.iter().filter_map(|name| self.0.hub.find_read(name));
            for channel in read.filter(|channel| !own.has(channel)) {
                match self.0.frames {
                    RunFrames::All => self.tell_at_rest(&channel, row, Audience::All),
                    RunFrames::Own => self.tell_at_rest(&channel, row, Audience::Followers),
                    RunFrames::Off => {}
                }
            }
            if names.len() < limit {
                return Ok(());
            }
            after = names.into_iter().next_back();
        }
    }

    /// The run whose status counts, when `id` is the last run of its event to end.
    async fn end_of_all(&self, id: RunId, event: EventId) -> Result<Option<RunRow>, StoreError> {
        let limit = limits::PAGE_ROWS;
        let rows = self.0.store.runs(RunQuery::OfEvent(event, limit)).await?;
        let all_ended = rows.iter().all(|row| row.phase.is_final());
        let last_end = rows.iter().filter_map(|row| row.ended_at).max();
        let is_last = |row: &RunRow| row.id == id && row.ended_at == last_end;
        let Some(last_end) = last_end.filter(|_| all_ended && rows.iter().any(is_last)) else {
            return Ok(None);
        };
        if !self
            .0
            .last_ends
            .is_first(event, last_end, self.0.clock.now())
        {
            return Ok(None);
        }
        Ok(first_of_those_that_count(rows))
    }

    /// Tells a channel after its last message.
    fn tell_at_rest(&self, channel: &Arc<Channel>, row: &RunRow, audience: Audience) {
        if audience == Audience::Followers && !channel.is_followed() {
            return;
        }
        let followers = self.end(row, Told::Followers);
        let others = (audience == Audience::All).then(|| self.end(row, Told::Others));
        let (runs, channel) = (self.clone(), Arc::clone(channel));
        self.0.background.spawn(async move {
            let latest = runs.0.clock.now() + PATIENCE;
            loop {
                let at = latest.min(channel.used_at() + PAUSE);
                if at <= runs.0.clock.now() {
                    break;
                }
                runs.0.clock.wait_until(at).await;
            }
            if channel.is_followed() {
                runs.post_for_npm(&channel, followers);
            }
            if let Some(others) = others {
                runs.post_for_npm(&channel, others);
            }
        });
    }

    fn end(&self, row: &RunRow, told: Told) -> Draft {
        let is_shown = told == Told::Followers || self.0.exposes_result(row);
        let result = match &row.outcome {
            Some(Outcome::Ok(json)) if is_shown => serde_json::from_slice(json).ok(),
            Some(_) | None => None,
        };
        let ended = Ended {
            status: row.phase.status(),
            result,
        };
        let payload = serde_json::to_vec(&ended)
            .expect("a status and JSON can always be written as JSON")
            .into();
        let topic = TopicName::parse(RUN_TOPIC).expect("the engine's topics have names");
        let origin = Arc::new(Origin {
            run: row.id,
            step: None,
            attempt: row.attempt,
        });
        Draft::for_npm(topic, Kind::Ended { told }, payload, Some(origin))
    }
}

/// Of all runs of an event, which have ended: the one that began first among those that count. Runs that had ended when others were created,
/// by running one again, have been told; and a run that was run again meanwhile counts no more than what repeats it.
fn first_of_those_that_count(mut rows: Vec<RunRow>) -> Option<RunRow> {
    rows.sort_by_key(|row| (row.created_at, row.id));
    let mut counting: Vec<RunRow> = Vec::new();
    for row in rows {
        let told = |earlier: &RunRow| earlier.ended_at.is_some_and(|at| at < row.created_at);
        if counting.iter().all(told) {
            counting.clear();
        }
        counting.retain(|earlier| earlier.function != row.function);
        counting.push(row);
    }
    let began = |row: &RunRow| (row.started_at.unwrap_or(row.created_at), row.id);
    counting.into_iter().min_by_key(began)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use stepcast_protocol::FunctionId;

    use super::*;
    use crate::store::{Phase, conformance::samples};

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

    #[test]
    fn of_runs_that_were_run_again_the_newest_count_and_of_those_the_first() {
        let run = |n: u64, function: &str, created: i64, ended: i64| RunRow {
            function: FunctionId::parse(function).unwrap(),
            created_at: samples::at(created),
            ended_at: Some(samples::at(ended)),
            ..samples::run(n, Phase::Completed)
        };
        for (rows, counts) in [
            (vec![], None),
            (vec![run(2, "f", 1, 5), run(1, "g", 1, 9)], Some(1)),
            // One of two is run again when both have ended: it counts alone.
            (
                vec![run(1, "f", 1, 5), run(2, "g", 1, 9), run(3, "g", 10, 12)],
                Some(3),
            ),
            // One goes on meanwhile: it counts beside the new one.
            (
                vec![run(1, "f", 1, 20), run(2, "g", 1, 9), run(3, "g", 10, 12)],
                Some(1),
            ),
            // It goes on itself: the new one counts for it.
            (vec![run(1, "f", 1, 20), run(2, "f", 10, 12)], Some(2)),
        ] {
            let found = first_of_those_that_count(rows).map(|row| row.id);
            assert_eq!(found, counts.map(samples::run_id));
        }
    }

    #[test]
    fn of_those_that_end_at_once_one_tells_and_a_later_end_is_told_again() {
        let told = LastEnds::default();
        let (event, at) = (samples::event_id(1), samples::at);
        assert!(told.is_first(event, at(5), at(5)));
        assert!(!told.is_first(event, at(5), at(6)));
        assert!(told.is_first(samples::event_id(2), at(5), at(6)));
        assert!(told.is_first(event, at(7), at(7)));
        assert!(told.is_first(samples::event_id(3), at(90_000), at(90_000)));
        assert_eq!(told.0.lock().len(), 1, "what is long ago is forgotten");
    }
}
