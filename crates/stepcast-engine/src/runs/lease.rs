//! A worker's hold on a run, and everything it can report. Reports return at once; what comes of them arrives as updates, after the commit.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use stepcast_protocol::{
    ChannelName, Cursor, ErrorCode, EventName, FunctionId, StepId, Timestamp, event::CheckedEvent,
};

use super::{
    Runs,
    cell::{Attached, Envelope, RunCell},
    command::{BodyFate, Command, Failure, StepKey, Work},
    function::FunctionConfig,
    once::Taken,
    retry::Retry,
    seen::Seen,
};
use crate::{
    error::EngineError,
    expression::{Bound, Expression},
    hub::{Draft, Outgoing},
    store::{EventWait, Outcome, Parent, StepRow, StepState, Verb, Write, rows::Matching},
};

/// What a step waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Awaited {
    /// The event's name.
    pub event: EventName,
    /// What its data must contain.
    pub matching: Vec<Matching>,
    /// What else must hold of it, as `async`, and of the run's event, as `event`.
    pub condition: Option<Expression>,
    /// Whether events count that were accepted since the run was created, rather than since the wait began.
    pub since_run_start: bool,
}

impl Awaited {
    /// The next event of this name.
    #[must_use]
    pub const fn next(event: EventName) -> Self {
        Self {
            event,
            matching: Vec::new(),
            condition: None,
            since_run_start: false,
        }
    }
}

/// The hold of one worker on one run. A cheap handle; every use carries the lease's number.
#[derive(Clone)]
pub struct RunLease {
    pub(super) runs: Runs,
    pub(super) cell: Arc<RunCell>,
    pub(super) number: u32,
}

impl RunLease {
    /// Whether the worker still holds the run.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.cell.is_held_by(self.number)
    }

    /// The engine's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.runs.0.clock.now()
    }

    /// Waits until the engine's time has come to `at`.
    pub async fn wait_until(&self, at: Timestamp) {
        self.runs.0.clock.wait_until(at).await;
    }

    pub(super) fn report(&self, work: Work, attached: Attached) {
        let envelope = Envelope {
            attached,
            ..Envelope::new(Command::Work(self.number, work))
        };
        match self.cell.push(envelope) {
            None => self.runs.pump(&self.cell),
            // The run has left memory, so this lease is over and the worker has been told.
            Some(late) => drop(late),
        }
    }

    /// A step has its result.
    pub fn step_ended(&self, step: StepKey, outcome: Outcome) {
        self.report(Work::StepEnded(step, outcome), Attached::default());
    }

    /// An attempt of a step has failed.
    pub fn step_failed(&self, step: StepKey, failure: Failure, retry: Retry) {
        let chance = self.runs.0.entropy.fraction();
        self.report(
            Work::StepFailed {
                step,
                failure,
                retry,
                chance,
            },
            Attached::default(),
        );
    }

    /// An attempt of a step was dropped before it ended.
    pub fn step_abandoned(&self, step: StepKey) {
        self.report(Work::StepAbandoned(step), Attached::default());
    }

    /// A durable publish: one commit holds the step and the message.
    pub fn step_publishes(&self, step: StepKey, outgoing: Outgoing) {
        let attached = Attached {
            outgoing: vec![outgoing],
            ..Attached::default()
        };
        self.report(
            Work::StepEnded(step, Outcome::Ok(Bytes::from_static(b"null"))),
            attached,
        );
    }

    /// Events sent by a step: one commit holds the step, the events and the runs they start.
    pub fn step_sends(&self, step: StepKey, events: Vec<CheckedEvent>) {
        let now = self.now();
        let events: Vec<_> = events
            .into_iter()
            .map(|event| Arc::new(self.runs.accept(event, now)))
            .collect();
        let mut attached = Attached::default();
        let mut taken = Taken::new();
        for event in &events {
            self.runs
                .attach_event(event, now, &mut taken, &mut attached);
        }
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let json = serde_json::to_vec(&ids).expect("ids can always be written as JSON");
        self.report(Work::StepEnded(step, Outcome::Ok(json.into())), attached);
    }

    /// A step sleeps until a time.
    pub fn step_sleeps(&self, step: StepKey, until: Timestamp) {
        self.report(
            Work::WaitStarted {
                step,
                until: Some(until),
                event: None,
            },
            Attached::default(),
        );
    }

    /// A step waits for an event, at most until a time.
    pub fn step_waits_for_event(&self, step: StepKey, awaited: Awaited, until: Option<Timestamp>) {
        let Awaited {
            event,
            mut matching,
            condition,
            since_run_start,
        } = awaited;
        let bound = condition.map(|condition| condition.bind(Seen::new(&self.cell.event).value()));
        let (more, rest) = bound.map_or_else(Default::default, |Bound { matching, rest }| {
            (matching, rest)
        });
        matching.extend(more);
        let wait = EventWait {
            run: self.cell.id,
            step: step.id.clone(),
            event,
            matching,
            condition: rest.map(|rest| rest.to_string()),
            after: EventWait::NOW,
            until: None,
        };
        let start = move |lease: &Self, after| {
            let event = Some(Box::new(EventWait { after, ..wait }));
            lease.report(
                Work::WaitStarted { step, until, event },
                Attached::default(),
            );
        };
        if !since_run_start {
            return start(self, EventWait::NOW);
        }
        let lease = self.clone();
        self.runs.0.background.spawn(async move {
            match lease.runs.0.store.event(lease.cell.event.id).await {
                Ok(Some(trigger)) => start(&lease, trigger.seq),
                Ok(None) => start(&lease, 0),
                Err(error) => tracing::error!(run = %lease.cell.id, %error, "a wait for an event could not begin"),
            }
        });
    }

    /// Whether this program has the function.
    ///
    /// # Errors
    /// [`EngineError::UnknownFunction`] when it has not.
    pub fn knows(&self, function: &FunctionId) -> Result<(), EngineError> {
        self.runs.function(function).map(|_| ())
    }

    /// A step runs another function, which this program [knows](Self::knows), and waits for its end, at most until a time. One commit
    /// holds the wait and the new run.
    pub fn step_invokes(
        &self,
        step: StepKey,
        function: &FunctionId,
        input: CheckedEvent,
        until: Option<Timestamp>,
    ) {
        let now = self.now();
        let event = Arc::new(self.runs.accept(input, now));
        let parent = Parent {
            run: self.cell.id,
            step: step.id.clone(),
        };
        let config = match self.runs.function(function) {
            Ok(config) => config,
            // Gone since the worker asked; its run waits until it comes back.
            Err(_) => Arc::new(FunctionConfig::new(function.clone(), Vec::new())),
        };
        let created = self.runs.create(&config, &event, Some(parent), now);
        let mut attached = Attached::default();
        // The event is the child's input only; it triggers nothing else.
        attached.writes.push(Write::Event(event));
        attached.created.push(created);
        self.report(
            Work::WaitStarted {
                step,
                until,
                event: None,
            },
            attached,
        );
    }

    /// An attempt of a step has begun. Nothing is committed; those who watch the run are told.
    pub fn step_began(&self, step: &StepKey, attempt: u32) {
        let row = || {
            let now = self.now();
            StepRow {
                run: self.cell.id,
                step: step.id.clone(),
                verb: step.verb,
                target: step.target.clone(),
                attempts: attempt,
                state: StepState::Open {
                    next_at: now,
                    error: None,
                },
                began_at: step.began_at.unwrap_or(now),
                changed_at: now,
            }
        };
        self.runs.announce_attempt(&self.cell, row);
    }

    /// Publishes a message that is not durable, of the attempt that its origin names.
    ///
    /// # Errors
    /// `lease_lost` when the run is no longer held, `attempt_over` when the attempt is over, `too_many_body_publishes`, and what the
    /// hub says.
    pub async fn publish(
        &self,
        channel: &ChannelName,
        draft: Draft,
    ) -> Result<Cursor, EngineError> {
        let hub = &self.runs.0.hub;
        let channel = hub.channel(channel).await?;
        hub.prepare(&channel, &draft.topic, &draft.keep).await?;
        let post = || {
            self.cell
                .publish(&self.runs, self.number, &channel, draft.clone(), true)
        };
        let accepted = hub.when_there_is_room(&channel, post).await?;
        let published = accepted.published().await;
        if published.is_err()
            && let Some(origin) = &draft.origin
        {
            self.cell.published().forget(origin, channel.name(), &draft);
        }
        Ok(published?)
    }

    /// All the function awaits is recorded: the run goes on when one of its waits ends. `seen` is the place of the last result that the
    /// worker has heard of, from [`LeasedRun::steps`](super::LeasedRun::steps) or an update; 0 when there was none. When a later one is on
    /// its way, the run goes on at once.
    pub fn park(&self, seen: u64) {
        let decided_at = self.now();
        self.report(Work::Parked { seen, decided_at }, Attached::default());
    }

    /// The run is given back as it is, because the process ends.
    pub fn release(&self) {
        self.report(Work::Released, Attached::default());
    }

    /// The function returned.
    pub fn returned(&self, json: Bytes) {
        self.report(Work::Returned(json), Attached::default());
    }

    /// The function failed.
    pub fn failed(&self, failure: Failure, retry: Retry) {
        let chance = self.runs.0.entropy.fraction();
        self.report(
            Work::Failed {
                failure,
                retry,
                chance,
            },
            Attached::default(),
        );
    }
}

impl StepKey {
    /// A step with nothing it does something to.
    #[must_use]
    pub fn new(id: StepId, verb: Verb) -> Self {
        Self {
            id,
            verb,
            target: String::new(),
            began_at: None,
        }
    }

    /// A step that does something to `target`.
    #[must_use]
    pub fn with_target(self, target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            ..self
        }
    }
}

impl Failure {
    /// A failure that may be tried again.
    #[must_use]
    pub fn of(error: stepcast_protocol::RunError) -> Self {
        Self {
            error,
            terminal: false,
            pause: None,
            body: BodyFate::Usual,
        }
    }

    /// A failure of the engine's rules, which no try can mend.
    #[must_use]
    pub fn terminal(code: ErrorCode, message: impl ToString) -> Self {
        Self {
            error: stepcast_protocol::RunError::new(code, message),
            terminal: true,
            pause: None,
            body: BodyFate::Usual,
        }
    }
}

impl fmt::Debug for RunLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunLease")
            .field("run", &self.cell.id)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
