//! Which steps wait for an event. Filled and asked on the store's thread, in the order of commits: so a step sees exactly the events that were
//! committed after its wait.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use stepcast_protocol::{Event, EventId, EventName, RunId, StepId, Timestamp};

use super::seen::Seen;
use crate::{
    expression::{Expression, Scope, matches_data},
    store::EventWait,
};

/// All open waits for events.
#[derive(Default)]
pub(super) struct Waits {
    by_event: Mutex<HashMap<EventName, Vec<Waiting>>>,
    /// Waits that stand for themselves alone and are on their way to the store.
    claims: Mutex<HashMap<EventName, Claim>>,
}

/// A wait on its way: whose it is, and until when it counts should it never arrive.
struct Claim {
    run: RunId,
    step: StepId,
    until: Timestamp,
}

/// How long a claim counts; commits take less.
const CLAIM: Duration = Duration::from_secs(10);

/// One of them.
struct Waiting {
    wait: EventWait,
    condition: Option<Condition>,
}

/// What else must hold, with the event that it looks back to.
struct Condition {
    expression: Expression,
    trigger: Arc<Event>,
}

impl Waits {
    pub(super) fn clear(&self) {
        self.claims.lock().clear();
        self.by_event.lock().clear();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_event.lock().values().map(Vec::len).sum()
    }

    /// A run that the trigger has started waits.
    pub(super) fn start(&self, wait: EventWait, trigger: &Arc<Event>) {
        let condition = Condition::of(&wait, trigger);
        self.claims
            .lock()
            .retain(|_, claim| (claim.run, &claim.step) != (wait.run, &wait.step));
        let mut by_event = self.by_event.lock();
        let waiting = by_event.entry(wait.event.clone()).or_default();
        waiting.push(Waiting { wait, condition });
    }

    pub(super) fn end(&self, run: RunId, step: &StepId, event: &str) {
        let mut by_event = self.by_event.lock();
        if let Some(waits) = by_event.get_mut(event) {
            waits.retain(|Waiting { wait, .. }| wait.run != run || wait.step != *step);
            if waits.is_empty() {
                by_event.remove(event);
            }
        }
    }

    /// Says that a step is about to wait for events of a name; if another one is, and is not to be replaced, whose that is.
    pub(super) fn claim(
        &self,
        event: &EventName,
        (run, step): (RunId, &StepId),
        now: Timestamp,
        replaces: bool,
    ) -> Option<RunId> {
        let mut claims = self.claims.lock();
        claims.retain(|_, claim| claim.until > now);
        let other = claims
            .get(event)
            .filter(|claim| (claim.run, &claim.step) != (run, step));
        if let Some(other) = other.filter(|_| !replaces) {
            return Some(other.run);
        }
        let claim = Claim {
            run,
            step: step.clone(),
            until: now + CLAIM,
        };
        claims.insert(event.clone(), claim);
        None
    }

    /// The one that has waited longest for events of a name.
    pub(super) fn first(&self, event: &EventName) -> Option<EventWait> {
        let by_event = self.by_event.lock();
        let waiting = by_event.get(event)?.first()?;
        Some(waiting.wait.clone())
    }

    /// The waits that this event ends. They wait no longer.
    pub(super) fn take(&self, event: &Event) -> Vec<EventWait> {
        let mut by_event = self.by_event.lock();
        let Some(waits) = by_event.get_mut(&event.name) else {
            return Vec::new();
        };
        let seen = Seen::new(event);
        let taken = waits.extract_if(.., |waiting| {
            is_for(&waiting.wait, waiting.condition.as_ref(), event, &seen)
        });
        let taken = taken.map(|waiting| waiting.wait).collect();
        if waits.is_empty() {
            by_event.remove(&event.name);
        }
        taken
    }
}

impl Condition {
    fn of(wait: &EventWait, trigger: &Arc<Event>) -> Option<Self> {
        let text = wait.condition.as_deref()?;
        let expression = Expression::parse(text).unwrap_or_else(|error| {
            tracing::error!(run = %wait.run, step = %wait.step, %error, "what a wait asks for cannot be read any more; nothing ends it");
            Expression::never()
        });
        let trigger = Arc::clone(trigger);
        Some(Self {
            expression,
            trigger,
        })
    }

    /// One that has no value for the event does not hold.
    fn holds(&self, wait: &EventWait, seen: &Seen<'_>) -> bool {
        let trigger = Seen::new(&self.trigger);
        let scope = Scope::of(trigger.value()).with_incoming(seen.value());
        self.expression.holds(scope).unwrap_or_else(|error| {
            tracing::warn!(run = %wait.run, step = %wait.step, %error, "an event is taken not to be what a step waits for");
            false
        })
    }
}

/// Whether the event is what a run that the trigger has started waits for.
pub(super) fn matches(wait: &EventWait, trigger: &Arc<Event>, event: &Event) -> bool {
    let condition = Condition::of(wait, trigger);
    is_for(wait, condition.as_ref(), event, &Seen::new(event))
}

fn is_for(wait: &EventWait, condition: Option<&Condition>, event: &Event, seen: &Seen<'_>) -> bool {
    wait.event == event.name
        && wait.until.is_none_or(|until| event.at < until)
        && (wait.matching.is_empty() || matches_data(&wait.matching, seen.data()))
        && condition.is_none_or(|condition| condition.holds(wait, seen))
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
