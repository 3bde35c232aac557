//! How events come in: event, runs and their first leases are one commit.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use stepcast_protocol::{
    Event, EventId, EventName, FunctionId, RunId, Timestamp,
    event::{CheckedEvent, Extras},
    limits,
    sdk::internal::FUNCTION_INVOKED,
};
use tokio::sync::oneshot;

use super::{
    Runs,
    cell::Attached,
    command::{CancelReason, Command},
    function::FunctionConfig,
    once::{Once, Taken},
    seen::Seen,
    waits,
};
use crate::{
    error::EngineError,
    store::{Batch, CommitError, EventWait, Expect, KnownEvent, Outcome, Refusal, RunQuery, Write},
};

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The engine's id; the earlier one when the event had been accepted before.
    pub event: EventId,
    /// The runs it started.
    pub runs: Vec<RunId>,
}

/// Why nothing was committed.
pub(super) enum NotCommitted {
    Known(Known),
    Error(CommitError),
}

/// What came before.
pub(super) struct Known {
    events: Vec<KnownEvent>,
    /// Functions, and keys for which they may not be started any more.
    taken: Taken,
}

impl Known {
    /// Tells events from keys among what a commit has found not to be new.
    fn among(attached: &Attached, mut events: Vec<KnownEvent>) -> Self {
        let known = events.iter().map(|event| event.sent).collect();
        let taken = attached.taken(&known).collect();
        let markers: BTreeSet<_> = attached.markers().collect();
        events.retain(|event| !markers.contains(&event.sent));
        Self { events, taken }
    }
}

/// What makes a repeated request give its events the same ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdSeed {
    millis: u64,
    bytes: [u8; 10],
}

impl IdSeed {
    /// Reads `<milliseconds since 1970>,<base64 of 10 bytes>`.
    ///
    /// # Errors
    /// [`EngineError::BadSeed`] names the text.
    pub fn parse(text: &str) -> Result<Self, EngineError> {
        let parse = || {
            let (millis, bytes) = text.split_once(',')?;
            let bytes = BASE64_STANDARD.decode(bytes.trim()).ok()?;
            Some(Self {
                millis: millis.trim().parse().ok()?,
                bytes: bytes.try_into().ok()?,
            })
        };
        parse().ok_or_else(|| EngineError::BadSeed(text.chars().take(64).collect()))
    }

    /// The id of the n-th event of a request, from 1.
    fn id(self, n: u32) -> EventId {
        let [head @ .., a, b, c, d] = self.bytes;
        let [a, b, c, d] = u32::from_be_bytes([a, b, c, d])
            .wrapping_add(n)
            .to_be_bytes();
        let mut random = [0; 16];
        random[6..12].copy_from_slice(&head);
        random[12..].copy_from_slice(&[a, b, c, d]);
        EventId::from_parts(self.millis, u128::from_be_bytes(random))
    }
}

impl Runs {
    /// The event with an id of the engine's own.
    pub(super) fn accept(&self, event: CheckedEvent, now: Timestamp) -> Event {
        let CheckedEvent {
            name,
            data,
            key,
            at,
            extras,
        } = event;
        Event {
            id: self.0.entropy.event_id(now),
            name,
            data,
            key,
            at: at.unwrap_or(now),
            extras,
        }
    }

    /// Adds an event and the runs it starts to a commit, but for those whose keys are taken; from then on theirs are.
    pub(super) fn attach_event(
        &self,
        event: &Arc<Event>,
        now: Timestamp,
        taken: &mut Taken,
        attached: &mut Attached,
    ) {
        attached.writes.push(Write::Event(Arc::clone(event)));
        if event.key.is_some() {
            attached.writes.push(Write::EventKey(
                Arc::clone(event),
                now + limits::IDEMPOTENCY_WINDOW,
            ));
        }
        let seen = Seen::new(event);
        for function in self.0.registry.started_by(&seen) {
            let once = function
                .idempotency_key(&seen)
                .and_then(|key| Once::new(self.0.entropy.event_id(now), &function.id, key, now));
            if let Some(once) = &once
                && !taken.insert(once.key())
            {
                continue;
            }
            let mut created = self.create(&function, event, None, now);
            created.once = once;
            attached.created.push(created);
        }
        attached.events.push(Arc::clone(event));
    }

    /// Accepts events: all of them in one commit, or none. One that was accepted before keeps its id and starts nothing.
    pub(crate) async fn send(
        &self,
        events: Vec<CheckedEvent>,
        seed: Option<IdSeed>,
    ) -> Result<Vec<Accepted>, EngineError> {
        if events.len() > limits::EVENTS_PER_REQUEST {
            return Err(EngineError::TooManyEvents {
                count: events.len(),
            });
        }
        let now = self.0.clock.now();
        let mut events: Vec<_> = events
            .into_iter()
            .map(|event| self.accept(event, now))
            .collect();
        if let Some(seed) = seed {
            for (n, event) in (1..).zip(&mut events) {
                event.id = seed.id(n);
            }
        }
        let may_repeat = seed.is_some();
        let mut known = HashMap::new();
        let mut first_of = HashMap::new();
        let mut new = Vec::with_capacity(events.len());
        for event in &events {
            let first = match &event.key {
                Some(key) => *first_of.entry((&event.name, key)).or_insert(event.id),
                None => event.id,
            };
            if first == event.id {
                new.push(Arc::new(event.clone()));
            } else {
                known.insert(event.id, first);
            }
        }
        let mut taken = Taken::new();
        let mut started = loop {
            let committed = self.commit_events(&new, may_repeat, now, taken.clone());
            match committed.await {
                Ok(started) => break started,
                // All that came before are named at once, so that few tries are enough however many they are.
                Err(NotCommitted::Known(before)) => {
                    taken.extend(before.taken);
                    let events = before.events.into_iter();
                    known.extend(events.map(|event| (event.sent, event.known)));
                    new.retain(|event| !known.contains_key(&event.id));
                }
                Err(NotCommitted::Error(error)) => return Err(error.into()),
            }
        };
        let mut accepted = Vec::with_capacity(events.len());
        for event in events {
            // One may repeat another of this request, which repeats one that was accepted before.
            let earlier = known
                .get(&event.id)
                .map(|first| *known.get(first).unwrap_or(first));
            accepted.push(match earlier {
                Some(earlier) => self.accepted_before(earlier).await?,
                None => Accepted {
                    event: event.id,
                    runs: started.remove(&event.id).unwrap_or_default(),
                },
            });
        }
        Ok(accepted)
    }

    /// An event and the runs of its own commit; those that were run again later are not of it.
    async fn accepted_before(&self, event: EventId) -> Result<Accepted, EngineError> {
        let rows = self
            .0
            .store
            .runs(RunQuery::OfEvent(event, limits::PAGE_ROWS))
            .await?;
        let first = rows.first().map(|row| row.created_at);
        let started = rows.iter().filter(|row| Some(row.created_at) == first);
        Ok(Accepted {
            event,
            runs: started.map(|row| row.id).collect(),
        })
    }

    /// Starts one function by an event that starts nothing else, unless that was done before.
    pub(super) async fn commit_start(
        &self,
        function: &FunctionConfig,
        event: Event,
    ) -> Result<(), CommitError> {
        let now = self.0.clock.now();
        let event = Arc::new(event);
        let attached = Attached {
            writes: vec![Write::Event(Arc::clone(&event))],
            created: vec![self.create(function, &event, None, now)],
            ..Attached::default()
        };
        let expect = vec![Expect::EventIsNew(Box::new(Event::clone(&event)), now)];
        match self.commit_attached(attached, expect).await {
            Ok(()) | Err(NotCommitted::Known(_)) => Ok(()),
            Err(NotCommitted::Error(error)) => Err(error),
        }
    }

    /// Starts one function with an event of the engine's own, whatever events start it otherwise.
    pub(crate) async fn invoke(
        &self,
        function: &FunctionId,
        data: Bytes,
    ) -> Result<Accepted, EngineError> {
        let function = self.function(function)?;
        let called = CheckedEvent {
            name: EventName::parse(FUNCTION_INVOKED)?,
            data,
            key: None,
            at: None,
            extras: Extras::default(),
        };
        let event = self.accept(called, self.0.clock.now());
        let id = event.id;
        self.commit_start(&function, event).await?;
        self.accepted_before(id).await
    }

    async fn commit_events(
        &self,
        events: &[Arc<Event>],
        may_repeat: bool,
        now: Timestamp,
        mut taken: Taken,
    ) -> Result<HashMap<EventId, Vec<RunId>>, NotCommitted> {
        let mut attached = Attached::default();
        let mut expect = Vec::new();
        for event in events {
            if may_repeat || event.key.is_some() {
                expect.push(Expect::EventIsNew(Box::new(Event::clone(event)), now));
            }
            self.attach_event(event, now, &mut taken, &mut attached);
        }
        let mut started: HashMap<_, Vec<_>> = HashMap::new();
        for created in &attached.created {
            let of_event = started.entry(created.row.event).or_default();
            of_event.push(created.id());
        }
        self.commit_attached(attached, expect).await?;
        Ok(started)
    }

    /// Commits what stands on its own feet, under conditions.
    pub(super) async fn commit_attached(
        &self,
        attached: Attached,
        mut expect: Vec<Expect>,
    ) -> Result<(), NotCommitted> {
        expect.extend(attached.expects());
        let batch = Batch {
            expect,
            writes: attached.all_writes(),
            ..Batch::default()
        };
        let (done, outcome) = oneshot::channel();
        let runs = self.clone();
        self.0.store.submit(
            batch,
            Box::new(move |result| {
                let result = result.map(drop).map_err(|error| match error {
                    CommitError::Refused(Refusal::EventsKnown(events)) => {
                        NotCommitted::Known(Known::among(&attached, events))
                    }
                    error => NotCommitted::Error(error),
                });
                match &result {
                    Ok(()) => runs.on_attached(attached),
                    Err(NotCommitted::Error(
                        CommitError::OutcomeUnknown(_) | CommitError::Closed,
                    )) => {
                        runs.restart_soon();
                    }
                    Err(NotCommitted::Known(_) | NotCommitted::Error(_)) => {}
                }
                drop(done.send(result));
            }),
        );
        outcome
            .await
            .unwrap_or(Err(NotCommitted::Error(CommitError::Closed)))
    }

    /// What was committed together with something is true now: events reach those who wait for them, runs begin.
    pub(super) fn on_attached(&self, attached: Attached) {
        for event in &attached.events {
            for wait in self.0.waits.take(event) {
                self.end_wait(wait, event);
            }
        }
        for created in attached.created {
            self.begin(created);
        }
    }
}

impl Runs {
    /// What a run waits for has come: an event that a step gets, or one that cancels the run.
    pub(super) fn end_wait(&self, wait: EventWait, event: &Event) {
        let EventWait { run, step, .. } = wait;
        if step.is_reserved() {
            self.cancel_soon(run, CancelReason::Event(event.name.clone(), event.id));
        } else {
            let outcome = Outcome::Ok(waits::to_result(event));
            self.command_soon(run, Command::WaitEnded(step, outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_each_event_its_id_and_the_same_again() {
        let seed = IdSeed::parse("1795462441203,AAAAAAAAAAAAAQ==").unwrap();
        assert_ne!(seed.id(1), seed.id(2));
        assert_eq!(seed.id(1), EventId::from_parts(1_795_462_441_203, 2));
        for wrong in ["", "1,", "x,AAAAAAAAAAAAAQ==", "1,AAAA"] {
            assert!(IdSeed::parse(wrong).is_err(), "{wrong}");
        }
    }
}
