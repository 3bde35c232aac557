//! What is true, as a simple model sees it: built from the batches that were committed, in their order, and held against everything that
//! functions, publishers and readers were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use stepcast_engine::{
    runs::LeasedRun,
    store::{
        Batch, CommitError, Committed, EventWait, Outcome, Phase, RunRow, StepRow, StepState, Void,
        Write,
    },
};
use stepcast_protocol::{
    ChannelName, Cursor, Keep, Kind, Message, RunId, StepId, TopicName, limits,
};

use super::{journal::Journal, program::Target};

/// A payload and where it was published.
type Said = (ChannelName, Bytes);

#[derive(Default)]
struct State {
    runs: BTreeMap<RunId, Run>,
    logs: BTreeMap<ChannelName, Log>,
    /// What every pair was seen to mean, by anybody.
    meanings: BTreeMap<(ChannelName, Cursor), Bytes>,
    /// Published by attempts of steps, and believed by them.
    step_said: BTreeMap<(RunId, String, u32), Vec<Said>>,
    /// Published by the last execution of a body, or taken as published.
    body_said: BTreeMap<RunId, Vec<Said>>,
    /// Acknowledged with their commit.
    acknowledged: BTreeMap<Said, Cursor>,
    /// Steps that wait for a signal.
    wait_for_signal: BTreeSet<(RunId, StepId)>,
    /// Refused for want of space; publishers of the first ones were told otherwise.
    without_space: BTreeSet<Bytes>,
}

struct Run {
    row: RunRow,
    steps: BTreeMap<StepId, StepRow>,
    /// In a row without a new result.
    crashes: u32,
}

#[derive(Default)]
struct Log {
    last: Cursor,
    /// Every message that was committed and not taken back, trimmed ones as well.
    messages: BTreeMap<Cursor, Arc<Message>>,
    trims: BTreeMap<TopicName, Cursor>,
}

/// The model. A cheap handle.
#[derive(Clone)]
pub(crate) struct Ledger {
    state: Arc<Mutex<State>>,
    journal: Journal,
}

impl Ledger {
    pub(crate) fn new(journal: Journal) -> Self {
        Self {
            state: Arc::default(),
            journal,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A batch has its fate.
    pub(crate) fn on_fate(&self, batch: &Batch, fate: &Result<Committed, CommitError>) {
        let writes: Vec<_> = batch.writes.iter().map(describe).collect();
        match fate {
            Ok(_) => self
                .journal
                .note(format_args!("committed: {}", writes.join(", "))),
            Err(error) => self
                .journal
                .note(format_args!("{error}: {}", writes.join(", "))),
        }
        match fate {
            Ok(_) => self.on_committed(batch),
            Err(CommitError::NoSpace(_)) => {
                let mut state = self.state();
                for write in &batch.writes {
                    if let Write::Message(_, message) = write {
                        state.without_space.insert(message.payload.clone());
                    }
                }
            }
            Err(_) => {}
        }
    }

    fn on_committed(&self, batch: &Batch) {
        // A run's row comes last, whatever the order in the batch: it counts the results.
        let (rows, others): (Vec<_>, Vec<_>) = batch
            .writes
            .iter()
            .partition(|write| matches!(write, Write::Run(_)));
        let (created, known): (Vec<_>, Vec<_>) = rows.into_iter().partition(
            |write| matches!(write, Write::Run(row) if !self.state().runs.contains_key(&row.id)),
        );
        for write in created.into_iter().chain(others).chain(known) {
            let ghost = format!("{write:?}").contains("ghost");
            self.journal
                .check(!ghost, || format!("a lost lease has written: {write:?}"));
            match write {
                Write::Run(row) => self.on_run(row),
                Write::Step(row) => self.on_step(row),
                Write::Message(channel, message) => self.on_message(channel, message),
                Write::VoidLeases(void, _) => self.on_void(*void),
                Write::EventWait(wait) if is_signal(wait) => {
                    let waiter = (wait.run, wait.step.clone());
                    self.state().wait_for_signal.insert(waiter);
                }
                Write::ClearEventWait(run, step) => {
                    self.state().wait_for_signal.remove(&(*run, step.clone()));
                }
                Write::Trim(channel, topic, up_to) => {
                    let mut state = self.state();
                    let log = state.logs.entry(channel.clone()).or_default();
                    let trim = log.trims.entry(topic.clone()).or_default();
                    *trim = (*trim).max(*up_to);
                }
                _ => {}
            }
        }
        let state = self.state();
        self.journal.check(state.wait_for_signal.len() <= 1, || {
            format!("several wait for one signal: {:?}", state.wait_for_signal)
        });
    }

    fn on_run(&self, row: &RunRow) {
        let mut state = self.state();
        let Some(run) = state.runs.get_mut(&row.id) else {
            let run = Run {
                row: row.clone(),
                steps: BTreeMap::new(),
                crashes: 0,
            };
            state.runs.insert(row.id, run);
            return;
        };
        let id = row.id;
        let check = |holds, what: &str| {
            self.journal
                .check(holds, || format!("run {id} {what}: {row:?}"));
        };
        check(!run.row.phase.is_final(), "changed after its end");
        check(run.row.lease <= row.lease, "went back to an earlier lease");
        check(run.crashes == row.crashes, "does not count its crashes");
        let is_too_late = matches!(&row.outcome, Some(Outcome::Err(error)) if error.message.contains("had not begun"));
        check(
            !is_too_late || row.started_at.is_none(),
            "had begun, and was cancelled as it had not",
        );
        let is_out_of_crashes = run.crashes >= limits::CRASHES_WITHOUT_PROGRESS;
        let says_so =
            matches!(&row.outcome, Some(Outcome::Err(error)) if error.code == "crashed_repeatedly");
        check(
            !says_so || is_out_of_crashes,
            "failed for crashes it had not",
        );
        let is_leased = row.phase == Phase::Leased && row.lease > run.row.lease;
        check(
            !is_leased || !is_out_of_crashes,
            "goes on after five crashes",
        );
        run.row = row.clone();
    }

    fn on_step(&self, row: &StepRow) {
        let mut state = self.state();
        let Some(run) = state.runs.get_mut(&row.run) else {
            return self
                .journal
                .check(false, || format!("a step without a run: {row:?}"));
        };
        if let Some(before) = run.steps.get(&row.step) {
            let is_done = matches!(before.state, StepState::Done { .. });
            self.journal.check(!is_done, || {
                format!("a step changed after its end: {before:?} became {row:?}")
            });
            self.journal.check(before.attempts <= row.attempts, || {
                format!("a step lost attempts: {before:?} became {row:?}")
            });
        }
        if matches!(row.state, StepState::Done { .. }) {
            run.crashes = 0;
        }
        run.steps.insert(row.step.clone(), row.clone());
    }

    fn on_message(&self, channel: &ChannelName, message: &Arc<Message>) {
        self.on_sight(channel, message.cursor, &message.payload);
        let mut state = self.state();
        let log = state.logs.entry(channel.clone()).or_default();
        self.journal.check(message.cursor > log.last, || {
            format!(
                "{} on `{channel}` was committed after {}",
                message.cursor, log.last
            )
        });
        log.last = message.cursor;
        match message.kind {
            Kind::Data => {
                log.messages.insert(message.cursor, Arc::clone(message));
            }
            Kind::Rollback { .. } => log.messages.retain(|_, known| !message.voids(known)),
            Kind::Ended { .. } | Kind::Status => {}
        }
    }

    fn on_void(&self, void: Void) {
        let mut state = self.state();
        for run in state.runs.values_mut() {
            if run.row.phase == Phase::Leased {
                run.row.phase = Phase::Queued;
                run.crashes += u32::from(void == Void::Crashed);
                run.row.crashes = run.crashes;
            }
        }
    }

    /// Somebody has seen a message, or was given its place. Nobody may ever see another one there.
    pub(crate) fn on_sight(&self, channel: &ChannelName, cursor: Cursor, payload: &Bytes) {
        let mut state = self.state();
        let known = state.meanings.entry((channel.clone(), cursor));
        let known = known.or_insert_with(|| payload.clone());
        self.journal.check(known == payload, || {
            format!("{cursor} on `{channel}` is both {known:?} and {payload:?}")
        });
    }

    /// A worker was handed a run.
    pub(crate) fn on_start(&self, run: &LeasedRun) {
        self.journal.note(format_args!(
            "run {} starts, attempt {}",
            run.id, run.attempt
        ));
        let mut state = self.state();
        let State {
            runs,
            step_said,
            body_said,
            ..
        } = &mut *state;
        body_said.remove(&run.id);
        let Some(known) = runs.get(&run.id) else {
            let id = run.id;
            return self
                .journal
                .check(false, || format!("run {id} was started and not committed"));
        };
        // Attempts that were under way in an earlier execution are void.
        step_said.retain(|(of, step, _), _| *of != run.id || known.is_done(step));
    }

    /// User code of a step begins.
    pub(crate) fn on_execute(&self, run: RunId, step: &StepId, attempt: u32) {
        self.journal
            .note(format_args!("run {run} executes {step}, attempt {attempt}"));
        let state = self.state();
        let is_done = state.runs.get(&run).is_some_and(|run| run.is_done(step));
        self.journal.check(!is_done, || {
            format!("step {step} of run {run} has its result and executes again")
        });
    }

    pub(crate) fn on_step_said(
        &self,
        run: RunId,
        step: &str,
        attempt: u32,
        target: Target,
        payload: Bytes,
    ) {
        if target.keep() == Keep::Live {
            return;
        }
        let key = (run, step.to_owned(), attempt);
        let mut state = self.state();
        let said = state.step_said.entry(key).or_default();
        said.push((target.channel(), payload));
    }

    pub(crate) fn on_body_said(&self, run: RunId, target: Target, payload: Bytes) {
        if target.keep() == Keep::Live {
            return;
        }
        let mut state = self.state();
        let said = state.body_said.entry(run).or_default();
        said.push((target.channel(), payload));
    }

    /// A publisher was told that its message is there for good.
    pub(crate) fn on_acknowledged(&self, channel: ChannelName, cursor: Cursor, payload: Bytes) {
        self.on_sight(&channel, cursor, &payload);
        let mut state = self.state();
        state.acknowledged.insert((channel, payload), cursor);
    }

    /// A sender was told that a run was started.
    pub(crate) fn on_accepted(&self, run: RunId) {
        let is_known = self.state().runs.contains_key(&run);
        self.journal.check(is_known, || {
            format!("run {run} was acknowledged and not committed")
        });
    }

    /// A sender was told that its signal has reached a run.
    pub(crate) fn on_reached(&self, run: RunId, signal: u64) {
        let state = self.state();
        let steps = state.runs.get(&run).into_iter();
        let mut outcomes = steps
            .flat_map(|run| run.steps.values())
            .map(|row| &row.state);
        let end = format!("\"data\":{signal}}}");
        let is_there = outcomes.any(|state| {
            matches!(state, StepState::Done { outcome: Outcome::Ok(json), .. } if json.ends_with(end.as_bytes()))
        });
        self.journal.check(is_there, || {
            format!("signal {signal} is said to have reached {run}, which has not got it")
        });
    }

    pub(crate) fn runs(&self) -> Vec<RunId> {
        self.state().runs.keys().copied().collect()
    }

    /// Runs that have not ended.
    pub(crate) fn open_runs(&self) -> Vec<String> {
        let state = self.state();
        let open = state.runs.values();
        let open = open.filter(|run| !run.row.phase.is_final());
        open.map(|run| format!("{:?} with {:?}", run.row, run.steps))
            .collect()
    }

    /// Whether the message may be missing, as there was no room for it.
    pub(crate) fn had_no_room(&self, message: &Message) -> bool {
        self.state().without_space.contains(&message.payload)
    }

    /// Every message of a topic that was committed and not taken back.
    pub(crate) fn messages(&self, channel: &ChannelName, topic: &str) -> Vec<Arc<Message>> {
        let state = self.state();
        let log = state.logs.get(channel).into_iter();
        let messages = log.flat_map(|log| log.messages.values().map(Arc::clone));
        messages.filter(|message| message.topic == *topic).collect()
    }

    /// Once everything has come to its end: everything said is there as often as it should be.
    pub(crate) fn check_messages(&self) {
        let state = self.state();
        let mut count: BTreeMap<Said, usize> = BTreeMap::new();
        for (channel, log) in &state.logs {
            for message in log.messages.values() {
                let said = (channel.clone(), message.payload.clone());
                let count = count.entry(said).or_default();
                // What was trimmed needs no taking back.
                if !log.is_trimmed(message) {
                    *count += 1;
                    self.check_origin(&state, message);
                }
            }
        }
        for ((channel, payload), times) in &count {
            self.journal.check(*times <= 1, || {
                format!("{payload:?} is on `{channel}` {times} times")
            });
        }
        let must_be = |said: &Said, why: &str| {
            let is_there = count.contains_key(said) || state.without_space.contains(&said.1);
            self.journal
                .check(is_there, || format!("{said:?} is missing: {why}"));
        };
        for said in state.acknowledged.keys() {
            must_be(said, "it was acknowledged");
        }
        for ((run, step, attempt), all) in &state.step_said {
            let run = &state.runs[run];
            if run.stands(step, *attempt) {
                all.iter()
                    .for_each(|said| must_be(said, "its step has succeeded"));
            }
        }
        for (run, all) in &state.body_said {
            if state.runs[run].row.phase == Phase::Completed {
                all.iter()
                    .for_each(|said| must_be(said, "its function has returned"));
            }
        }
    }

    /// A message of a step is there because its attempt has succeeded.
    fn check_origin(&self, state: &State, message: &Message) {
        let Some(origin) = message.origin.as_deref() else {
            return;
        };
        let (Some(step), Some(run)) = (&origin.step, state.runs.get(&origin.run)) else {
            return;
        };
        self.journal.check(run.stands(step, origin.attempt), || {
            let row = run.steps.get(step);
            format!("{message:?} is of an attempt that has not succeeded: {row:?}")
        });
    }
}

fn is_signal(wait: &EventWait) -> bool {
    wait.event.as_str().starts_with("inngest/signal:")
}

impl Log {
    fn is_trimmed(&self, message: &Message) -> bool {
        let trim = self.trims.get(&message.topic);
        trim.is_some_and(|up_to| message.cursor <= *up_to)
    }
}

impl Run {
    fn is_done(&self, step: &str) -> bool {
        let row = self.steps.iter().find(|(id, _)| id.as_str() == step);
        row.is_some_and(|(_, row)| matches!(row.state, StepState::Done { .. }))
    }

    fn stands(&self, step: &str, attempt: u32) -> bool {
        let row = self.steps.iter().find(|(id, _)| id.as_str() == step);
        row.is_some_and(|(_, row)| {
            let has_succeeded = matches!(
                row.state,
                StepState::Done {
                    outcome: Outcome::Ok(_),
                    ..
                }
            );
            has_succeeded && row.attempts == attempt
        })
    }
}

fn describe(write: &Write) -> String {
    match write {
        Write::Run(row) => format!(
            "run {} {:?} lease {} attempt {} crashes {} due {:?}",
            row.id, row.phase, row.lease, row.attempt, row.crashes, row.due_at
        ),
        Write::Step(row) => format!(
            "step {} {} {:?} attempts {}",
            row.run, row.step, row.state, row.attempts
        ),
        Write::Message(channel, message) => format!(
            "{channel} {} {} {:?} {:?}",
            message.topic, message.cursor, message.kind, message.payload
        ),
        Write::Event(event) => format!("event {} {}", event.name, event.id),
        other => format!("{other:?}"),
    }
}
