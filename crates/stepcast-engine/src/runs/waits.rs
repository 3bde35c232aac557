//! Which steps wait for an event. Filled and asked on the store's thread, in the order of commits: so a step sees exactly the events that were
//! committed after its wait.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use stepcast_protocol::{Event, EventId, EventName, RunId, StepId};

use crate::{expression::matches_data, store::EventWait};

/// All open waits for events.
#[derive(Default)]
pub(super) struct Waits {
    by_event: Mutex<HashMap<EventName, Vec<EventWait>>>,
}

impl Waits {
    pub(super) fn clear(&self) {
        self.by_event.lock().clear();
    }

    pub(super) fn start(&self, wait: EventWait) {
        self.by_event
            .lock()
            .entry(wait.event.clone())
            .or_default()
            .push(wait);
    }

    pub(super) fn end(&self, run: RunId, step: &StepId, event: &str) {
        let mut by_event = self.by_event.lock();
        if let Some(waits) = by_event.get_mut(event) {
            waits.retain(|wait| wait.run != run || wait.step != *step);
            if waits.is_empty() {
                by_event.remove(event);
            }
        }
    }

    /// The waits that this event ends. They wait no longer.
    pub(super) fn take(&self, event: &Event) -> Vec<EventWait> {
        let mut by_event = self.by_event.lock();
        let Some(waits) = by_event.get_mut(&event.name) else {
            return Vec::new();
        };
        let taken = waits.extract_if(.., |wait| matches(wait, event)).collect();
        if waits.is_empty() {
            by_event.remove(&event.name);
        }
        taken
    }
}

/// Whether the event is what the wait is for.
pub(super) fn matches(wait: &EventWait, event: &Event) -> bool {
    if wait.event != event.name {
        return false;
    }
    if wait.matching.is_empty() {
        return true;
    }
    let Ok(data) = serde_json::from_slice::<Value>(&event.data) else {
        return false;
    };
    matches_data(&wait.matching, &data)
}

#[derive(Serialize)]
struct EventJson<'a> {
    id: EventId,
    name: &'a EventName,
    data: &'a RawValue,
    ts: i64,
}

/// An event as the result of the step that waited for it.
pub(super) fn to_result(event: &Event) -> Bytes {
    let text = std::str::from_utf8(&event.data).unwrap_or("{}");
    let data: &RawValue = serde_json::from_str(text).unwrap_or(RawValue::NULL);
    let json = EventJson {
        id: event.id,
        name: &event.name,
        data,
        ts: event.at.as_millis(),
    };
    serde_json::to_vec(&json)
        .expect("an event of strings and JSON can always be written")
        .into()
}
