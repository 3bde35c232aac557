//! What can be read: rows of the domain. How a backend lays them out is its own affair.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stepcast_protocol::{
    ChannelName, Cursor, Event, EventId, EventName, FunctionId, Message, Offset, RunError, RunId,
    RunStatus, StepId, Timestamp, TopicName,
};

use super::guards::Guards;

/// A channel as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    /// The last pair given out.
    pub head: Cursor,
    /// Per topic, up to where messages have been trimmed.
    pub trimmed: Vec<(TopicName, Cursor)>,
}

/// Which messages to read.
#[derive(Debug, Clone)]
pub struct MessageQuery {
    /// The channel.
    pub channel: ChannelName,
    /// Only later ones.
    pub after: Cursor,
    /// Only up to and with this one.
    pub up_to: Cursor,
    /// Only of these topics; all when absent.
    pub topics: Option<Arc<[TopicName]>>,
    /// At most so many, capped at [`stepcast_protocol::limits::PAGE_ROWS`].
    pub limit: usize,
}

/// Messages in channel order, as many as one read gives: bounded in rows and, beyond the first, in
/// [bytes](stepcast_protocol::limits::PAGE_BYTES).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Message>,
    /// Up to and with this cursor there are no others; where it is the query's `up_to`, the read is complete.
    pub next: Cursor,
    /// The channel's trims that lie after the query's `after`, of the same moment: where there is one, messages of that topic are
    /// missing from the page.
    pub trimmed: Vec<(TopicName, Cursor)>,
}

/// Which of the newest messages to find.
#[derive(Debug, Clone)]
pub struct NewestQuery {
    /// The channel.
    pub channel: ChannelName,
    /// At or before this cursor.
    pub up_to: Cursor,
    /// Only of these topics; all when absent.
    pub topics: Option<Arc<[TopicName]>>,
    /// How many, capped at [`stepcast_protocol::limits::PAGE_ROWS`].
    pub limit: usize,
}

/// What a run's body published, as a replay recognises it: 16 bytes of a hash over channel, topic and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyKey(pub [u8; 16]);

/// Messages of one attempt of an open run on one topic that no commit stands behind, and that somebody may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The channel.
    pub channel: ChannelName,
    /// The topic.
    pub topic: TopicName,
    /// The step; nothing for the body.
    pub step: Option<StepId>,
    /// The attempt.
    pub attempt: u32,
    /// They come after this cursor, those that the topic's bounds have taken too.
    pub after: Cursor,
}

impl Unsettled {
    /// After which cursor an attempt's messages are, on a channel where the run spoke first at `first` and its body stands up to `settled`.
    /// Nothing of a step stands that has not ended.
    pub(super) fn after(step: Option<&StepId>, first: Cursor, settled: Cursor) -> Cursor {
        match step {
            None => settled,
            Some(_) => Cursor {
                offset: Offset(first.offset.0.saturating_sub(1)),
                ..first
            },
        }
    }

    /// One per attempt and topic, in the order in which they were found.
    pub(super) fn each_once(rows: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for row in rows {
            if !found.contains(&row) {
                found.push(row);
            }
        }
        found
    }
}

/// One topic of a channel as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRow {
    /// The topic.
    pub topic: TopicName,
    /// How many messages are kept.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// A message as the background looks at it: whether its time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// Its place in the order of commits.
    pub place: u64,
    /// Its channel.
    pub channel: ChannelName,
    /// Its topic.
    pub topic: TopicName,
    /// Its cursor.
    pub cursor: Cursor,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The run that published it, if one did.
    pub run: Option<RunId>,
    /// Whether that run is still open, and when it ended. A run that is not known any more ended long ago.
    pub run_is: RunIs,
}

/// What became of the run behind a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunIs {
    /// No run published it, or the run is not known any more.
    Unknown,
    /// It goes on.
    Open,
    /// It ended then.
    Ended(Timestamp),
}

/// Where a run is in its life. The numbers are persisted: keep them stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Waits for its turn, its time or its next attempt.
    Queued = 0,
    /// Held by a worker under its lease.
    Leased = 1,
    /// Has given its lease back while all it awaits is recorded.
    Parked = 2,
    /// Ended: the function returned.
    Completed = 3,
    /// Ended: the function failed for good.
    Failed = 4,
    /// Ended: cancelled.
    Cancelled = 5,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Leased,
        Self::Parked,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The phase of a persisted number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase as u8 == number)
    }

    /// What the outside sees.
    #[must_use]
    pub fn status(self) -> RunStatus {
        match self {
            Self::Queued => RunStatus::Queued,
            Self::Leased | Self::Parked => RunStatus::Running,
            Self::Completed => RunStatus::Completed,
            Self::Failed => RunStatus::Failed,
            Self::Cancelled => RunStatus::Cancelled,
        }
    }

    /// Whether the run can never change again.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.status().is_final()
    }
}

/// How a step or a run ended: a JSON text, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What it returned.
    Ok(Bytes),
    /// Why it failed for good.
    Err(RunError),
}

impl Outcome {
    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Ok(json) => json.len(),
            Self::Err(error) => {
                error.message.len() + error.causes.iter().map(String::len).sum::<usize>() + 32
            }
        }
    }
}

/// The step of another run that waits for this run's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The waiting run.
    pub run: RunId,
    /// Its step.
    pub step: StepId,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Its function.
    pub function: FunctionId,
    /// What started it.
    pub event: EventId,
    /// Where it is.
    pub phase: Phase,
    /// The number of the last lease that was given; 0 before the first.
    pub lease: u32,
    /// Which attempt of the body this is, from 1.
    pub attempt: u32,
    /// Crashes in a row without a new committed step.
    pub crashes: u32,
    /// When it may go on, while it is queued.
    pub due_at: Timestamp,
    /// When its event was accepted.
    pub created_at: Timestamp,
    /// When it was leased for the first time.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended; while it is queued for another attempt, the error of the last one.
    pub outcome: Option<Outcome>,
    /// Who waits for it.
    pub parent: Option<Parent>,
    /// Its keys, one for each of its function's limits that count by a key, as its event had them when it was created.
    pub keys: Vec<String>,
    /// What ends it from outside, as its function asked when it was created.
    pub guards: Guards,
}

/// What a step does. The numbers are persisted: keep them stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// Runs user code.
    Run = 0,
    /// Publishes a durable message.
    Publish = 1,
    /// Sleeps for a time, or until one.
    Sleep = 2,
    /// Waits for an event.
    WaitForEvent = 3,
    /// Runs another function and waits for its end.
    Invoke = 4,
    /// Sends events.
    SendEvent = 5,
    /// Waits for a signal.
    WaitForSignal = 6,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 7] = [
        Self::Run,
        Self::Publish,
        Self::Sleep,
        Self::WaitForEvent,
        Self::Invoke,
        Self::SendEvent,
        Self::WaitForSignal,
    ];

    /// The verb of a persisted number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| *verb as u8 == number)
    }

    /// As users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Publish => "publish",
            Self::Sleep => "sleep",
            Self::WaitForEvent => "wait_for_event",
            Self::Invoke => "invoke",
            Self::SendEvent => "send_event",
            Self::WaitForSignal => "wait_for_signal",
        }
    }
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// Its run.
    pub run: RunId,
    /// Its id.
    pub step: StepId,
    /// What it does.
    pub verb: Verb,
    /// What it does it to: `channel/topic` of a publish, the event or the signal of a wait, the function of an invoke. Empty otherwise.
    pub target: String,
    /// How many attempts are used up, burnt ones included.
    pub attempts: u32,
    /// Where it is.
    pub state: StepState,
    /// When its first attempt began.
    pub began_at: Timestamp,
    /// When it came to where it is.
    pub changed_at: Timestamp,
}

/// Where a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// Its last attempt failed or was abandoned; it may be tried again.
    Open {
        /// Not before.
        next_at: Timestamp,
        /// How the last attempt failed; nothing when it was abandoned.
        error: Option<RunError>,
    },
    /// Its wait is recorded.
    Waiting {
        /// The time at which the wait ends by itself.
        until: Option<Timestamp>,
    },
    /// It has ended. `seq` is its place in the order in which the run's steps ended.
    Done {
        /// Its place.
        seq: u64,
        /// How.
        outcome: Outcome,
    },
}

impl StepState {
    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Open { .. } | Self::Waiting { .. } => 32,
            Self::Done { outcome, .. } => outcome.bytes(),
        }
    }
}

/// An event with its place in the order in which events were committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place, from 1.
    pub seq: u64,
    /// The event.
    pub event: Arc<Event>,
}

/// Which events are asked for, newest first by their ids.
///
/// A page ends early after a message page's [bytes](stepcast_protocol::limits::PAGE_BYTES) of data, with one event at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Of this name; of any when absent.
    pub name: Option<EventName>,
    /// With a smaller id than this.
    pub before: Option<EventId>,
    /// With this id or a larger one.
    pub from: Option<EventId>,
    /// At most so many.
    pub limit: usize,
}

/// A run with all that its execution needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// The run.
    pub row: RunRow,
    /// Its steps, in the order of their ids.
    pub steps: Vec<StepRow>,
    /// What started it.
    pub event: Arc<Event>,
    /// What its body has published for good, and how often.
    pub body: Vec<(BodyKey, u32)>,
}

/// Something that happens to a run at a time. Ordered by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// The step it is for; nothing when it is for the run itself.
    pub step: Option<StepId>,
}

/// A step that waits for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWait {
    /// The waiting run.
    pub run: RunId,
    /// Its step.
    pub step: StepId,
    /// The event's name.
    pub event: EventName,
    /// What its data must contain.
    pub matching: Vec<Matching>,
    /// What else must hold, as an expression of which the parts in `matching` are left out.
    pub condition: Option<String>,
    /// Only events with a later place count. [`Self::NOW`] becomes the place of the newest event at the wait's commit.
    pub after: u64,
    /// Events from then on do not count.
    pub until: Option<Timestamp>,
}

impl EventWait {
    /// Stands for the place of the newest event at the wait's commit, which only the store knows.
    pub const NOW: u64 = u64::MAX;
}

/// One field that an event's data must have, e.g. `job` = `"j1"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// The field, with `.` between levels.
    pub field: String,
    /// The value it must equal.
    pub value: serde_json::Value,
}

/// Where a run stands among those of its function that are queued and due: first those that were executed before, then oldest due first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuePlace {
    /// Whether it was never executed.
    pub is_new: bool,
    /// When it is due.
    pub due_at: Timestamp,
    /// The run.
    pub run: RunId,
}

impl DuePlace {
    /// Before all others.
    #[must_use]
    pub fn first() -> Self {
        Self {
            is_new: false,
            due_at: Timestamp::from_millis(i64::MIN),
            run: RunId::from_bytes([0; 16]),
        }
    }

    /// Where a queued run stands.
    #[must_use]
    pub const fn of(row: &RunRow) -> Self {
        Self {
            is_new: row.lease == 0,
            due_at: row.due_at,
            run: row.id,
        }
    }

    /// Before all that are due at the same time.
    #[must_use]
    pub fn first_of_its_time(self) -> Self {
        Self {
            run: Self::first().run,
            ..self
        }
    }
}

/// Which runs to read.
#[derive(Debug, Clone)]
pub enum RunQuery {
    /// Those of a function that are queued and due, in the order of their [places](DuePlace).
    Due {
        /// The function.
        function: FunctionId,
        /// Only those behind this place.
        after: Option<DuePlace>,
        /// The time.
        now: Timestamp,
        /// At most so many.
        limit: usize,
    },
    /// Those that an event started, oldest first.
    OfEvent(EventId, usize),
    /// Newest first, older than the given one, at most so many.
    Newest(Option<RunId>, usize),
    /// Those that ended before a time, at most so many.
    EndedBefore(Timestamp, usize),
    /// Those that have ended while the step that invoked them still waits in a run that has not ended, oldest first.
    EndedChildren(usize),
}
