//! Which steps wait for an event. Filled and asked on the store's thread, in the order of commits: so a step sees exactly the events that were
//! committed after its wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use stepcast_protocol::{Event, EventId, EventName, RunId, StepId, event::Extras};

use super::{
    claims::{Claims, Waiter},
    seen::Seen,
};
use crate::{
    expression::{Expression, Scope, matches_data},
    store::EventWait,
};

/// All open waits for events.
#[derive(Default)]
pub(super) struct Waits {
    state: Mutex<State>,
    /// Those that stand for themselves alone and are on their way to the store.
    pub(super) claims: Claims,
}

#[derive(Default)]
struct State {
    by_event: HashMap<EventName, OfEvent>,
    next_turn: u64,
    /// Those that have ended while the store is being read, and may be among what is read.
    ended_meanwhile: Option<BTreeSet<Waiter>>,
}

/// Those who wait for events of one name.
#[derive(Default)]
struct OfEvent {
    /// In the order in which they have begun.
    by_turn: BTreeMap<u64, Waiting>,
    turns: BTreeMap<Waiter, u64>,
}

/// One that waits, with what is needed to say which events it is for.
pub(super) struct Waiting {
    wait: EventWait,
    condition: Option<Condition>,
}

/// What else must hold, with what it asks of the event that it looks back to.
struct Condition {
    expression: Expression,
    trigger: Value,
}

impl Waits {
    /// Forgets all, as the store is about to be read: [`Self::resume`] gives what is found there, until [`Self::all_resumed`].
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        state.by_event.clear();
        state.ended_meanwhile = Some(BTreeSet::new());
    }

    /// The store has been read.
    pub(super) fn all_resumed(&self) {
        self.state.lock().ended_meanwhile = None;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let state = self.state.lock();
        state.by_event.values().map(|of| of.by_turn.len()).sum()
    }

    /// A run that the trigger has started waits.
    pub(super) fn start(&self, wait: EventWait, trigger: &Event) {
        let waiting = Waiting::of(wait, trigger);
        self.state.lock().add(waiting);
    }

    /// The same for one that stands for itself alone: it takes the place of others for that event.
    pub(super) fn start_alone(&self, wait: EventWait, trigger: &Event) {
        let waiting = Waiting::of(wait, trigger);
        let mut state = self.state.lock();
        let others = state.by_event.remove(&waiting.wait.event);
        if let (Some(ended), Some(others)) = (&mut state.ended_meanwhile, others) {
            ended.extend(others.turns.into_keys());
        }
        state.add(waiting);
    }

    /// The same for one that was found in the store. Says whether it still waits: it may have ended since that was read.
    pub(super) fn resume(&self, wait: EventWait, trigger: &Event) -> bool {
        let waiting = Waiting::of(wait, trigger);
        let mut state = self.state.lock();
        let ended = state.ended_meanwhile.as_ref();
        if ended.is_some_and(|ended| ended.contains(&waiting.waiter())) {
            return false;
        }
        state.add(waiting);
        true
    }

    pub(super) fn end(&self, run: RunId, step: &StepId, event: &str) {
        let waiter = (run, step.clone());
        let mut state = self.state.lock();
        if let Some(of_event) = state.by_event.get_mut(event) {
            of_event.remove(&waiter);
            if of_event.by_turn.is_empty() {
                state.by_event.remove(event);
            }
        }
        if let Some(ended) = &mut state.ended_meanwhile {
            ended.insert(waiter);
        }
    }

    /// The one that has waited longest for events of a name.
    pub(super) fn first(&self, event: &EventName) -> Option<EventWait> {
        let state = self.state.lock();
        let (_, waiting) = state.by_event.get(event)?.by_turn.first_key_value()?;
        Some(waiting.wait.clone())
    }

    /// All who wait for events of a name, in the order in which they have begun.
    pub(super) fn of(&self, event: &EventName) -> Vec<Waiter> {
        let state = self.state.lock();
        let of_event = state.by_event.get(event).into_iter();
        let waiting = of_event.flat_map(|of_event| of_event.by_turn.values());
        waiting.map(Waiting::waiter).collect()
    }

    /// The waits that this event ends. They wait no longer.
    pub(super) fn take(&self, event: &Event) -> Vec<EventWait> {
        let mut state = self.state.lock();
        let State {
            by_event,
            ended_meanwhile,
            ..
        } = &mut *state;
        let Some(OfEvent { by_turn, turns }) = by_event.get_mut(&event.name) else {
            return Vec::new();
        };
        let seen = Seen::new(event);
        let taken = by_turn.extract_if(.., |_, waiting| waiting.is_for(event, &seen));
        let taken: Vec<_> = taken.map(|(_, waiting)| waiting).collect();
        for waiting in &taken {
            turns.remove(&waiting.waiter());
        }
        if let Some(ended) = ended_meanwhile {
            ended.extend(taken.iter().map(Waiting::waiter));
        }
        if by_turn.is_empty() {
            by_event.remove(&event.name);
        }
        taken.into_iter().map(|waiting| waiting.wait).collect()
    }
}

impl State {
    fn add(&mut self, waiting: Waiting) {
        let turn = self.next_turn;
        self.next_turn += 1;
        let of_event = self.by_event.entry(waiting.wait.event.clone()).or_default();
        let waiter = waiting.waiter();
        of_event.remove(&waiter);
        of_event.turns.insert(waiter, turn);
        of_event.by_turn.insert(turn, waiting);
    }
}

impl OfEvent {
    fn remove(&mut self, waiter: &Waiter) {
        if let Some(turn) = self.turns.remove(waiter) {
            self.by_turn.remove(&turn);
        }
    }
}

impl Waiting {
    /// What a run waits for that the trigger has started.
    pub(super) fn of(wait: EventWait, trigger: &Event) -> Self {
        let condition = Condition::of(&wait, trigger);
        Self { wait, condition }
    }

    fn waiter(&self) -> Waiter {
        (self.wait.run, self.wait.step.clone())
    }

    /// Whether the event is what it waits for.
    pub(super) fn is_for(&self, event: &Event, seen: &Seen<'_>) -> bool {
        let Self { wait, condition } = self;
        let holds = |condition: &Condition| condition.holds(wait, seen);
        wait.event == event.name
            && wait.until.is_none_or(|until| event.at < until)
            && (wait.matching.is_empty() || matches_data(&wait.matching, seen.data()))
            && condition.as_ref().is_none_or(holds)
    }
}

impl Condition {
    fn of(wait: &EventWait, trigger: &Event) -> Option<Self> {
        let text = wait.condition.as_deref()?;
        let expression = Expression::parse(text).unwrap_or_else(|error| {
            tracing::error!(run = %wait.run, step = %wait.step, %error, "what a wait asks for cannot be read any more; nothing ends it");
            Expression::never()
        });
        let trigger = if expression.needs_event() {
            expression.needed_of(Seen::new(trigger).value())
        } else {
            Value::Null
        };
        Some(Self {
            expression,
            trigger,
        })
    }

    /// One that has no value for the event does not hold.
    fn holds(&self, wait: &EventWait, seen: &Seen<'_>) -> bool {
        let scope = Scope::of(&self.trigger).with_incoming(seen.value());
        self.expression.holds(scope).unwrap_or_else(|error| {
            tracing::warn!(run = %wait.run, step = %wait.step, %error, "an event is taken not to be what a step waits for");
            false
        })
    }
}

#[derive(Serialize)]
struct EventJson<'a> {
    id: EventId,
    name: &'a EventName,
    data: &'a RawValue,
    ts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<&'a str>,
}

/// An event as the result of the step that waited for it.
pub(super) fn to_result(event: &Event) -> Bytes {
    let text = std::str::from_utf8(&event.data).unwrap_or("{}");
    let data: &RawValue = serde_json::from_str(text).unwrap_or(RawValue::NULL);
    let Extras { user, v } = &event.extras;
    let user = user.as_ref();
    let json = EventJson {
        id: event.id,
        name: &event.name,
        data,
        ts: event.at.as_millis(),
        user: user.and_then(|user| serde_json::from_slice(user).ok()),
        v: v.as_deref(),
    };
    serde_json::to_vec(&json)
        .expect("an event of strings and JSON can always be written")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::samples;

    fn wait(n: u64, event: &str) -> EventWait {
        EventWait {
            run: samples::run_id(n),
            step: samples::step_id("w"),
            event: EventName::parse(event).unwrap(),
            matching: Vec::new(),
            condition: None,
            after: EventWait::NOW,
            until: None,
        }
    }

    fn runs(taken: &[EventWait]) -> Vec<RunId> {
        taken.iter().map(|wait| wait.run).collect()
    }

    #[test]
    fn they_wait_in_the_order_in_which_they_began_and_each_once() {
        let (waits, trigger) = (Waits::default(), samples::event(1, "f"));
        for n in [3, 1, 2, 3] {
            waits.start(wait(n, "e"), &trigger);
        }
        waits.start(wait(4, "other"), &trigger);
        assert_eq!(waits.len(), 4);
        let e = samples::event(2, "e");
        assert_eq!(waits.first(&e.name).unwrap().run, samples::run_id(1));
        waits.end(samples::run_id(1), &samples::step_id("w"), "e");
        let taken = waits.take(&e);
        assert_eq!(runs(&taken), [2, 3].map(samples::run_id));
        assert_eq!((waits.len(), waits.first(&e.name)), (1, None));
    }

    #[test]
    fn one_that_stands_alone_takes_the_place_of_others_for_good() {
        let (waits, trigger) = (Waits::default(), samples::event(1, "f"));
        waits.clear();
        waits.start(wait(1, "e"), &trigger);
        waits.start_alone(wait(2, "e"), &trigger);
        assert!(!waits.resume(wait(1, "e"), &trigger));
        let e = samples::event(2, "e");
        assert_eq!(runs(&waits.take(&e)), [samples::run_id(2)]);
    }

    #[test]
    fn what_ends_while_the_store_is_read_does_not_wait_again() {
        let (waits, trigger) = (Waits::default(), samples::event(1, "f"));
        waits.clear();
        assert!(waits.resume(wait(1, "e"), &trigger));
        assert_eq!(waits.take(&samples::event(2, "e")).len(), 1);
        waits.end(samples::run_id(2), &samples::step_id("w"), "e");
        for n in [1, 2] {
            assert!(!waits.resume(wait(n, "e"), &trigger), "{n}");
        }
        assert!(waits.resume(wait(3, "e"), &trigger));
        waits.all_resumed();
        assert_eq!(waits.len(), 1);
    }

    #[test]
    fn a_condition_keeps_what_it_asks_of_the_trigger_and_no_more() {
        let data = format!(r#"{{"n":1,"text":"{}"}}"#, "x".repeat(100_000));
        let trigger = Event {
            data: Bytes::from(data),
            ..(*samples::event(1, "f")).clone()
        };
        let condition = |text: &str| {
            let condition = Some(text.to_owned());
            let wait = EventWait {
                condition,
                ..wait(1, "e")
            };
            Waiting::of(wait, &trigger)
        };
        let waiting = condition("async.data.n > event.data.n && event.name == 'f'");
        let kept = &waiting.condition.as_ref().unwrap().trigger;
        assert_eq!(*kept, serde_json::json!({"name": "f", "data": {"n": 1}}));
        let comes = |n: u64| {
            let event = Event {
                data: Bytes::from(format!(r#"{{"n":{n}}}"#)),
                ..(*samples::event(2, "e")).clone()
            };
            waiting.is_for(&event, &Seen::new(&event))
        };
        assert_eq!((comes(1), comes(2)), (false, true));
        let looks_forward = condition("async.data.n > 1");
        assert!(looks_forward.condition.unwrap().trigger.is_null());
    }
}
