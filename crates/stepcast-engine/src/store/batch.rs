//! What can be changed, and what can come of it. A [`Batch`] is one atomic change of the domain.

use std::sync::Arc;

use stepcast_protocol::{
    ChannelName, Cursor, Epoch, ErrorCode, Event, EventId, Message, RunId, StepId, Timestamp,
    TopicName,
};

use super::rows::{BodyKey, EventWait, RunRow, StepRow, Timer};

/// One atomic change: all of its writes happen, or none.
///
/// Conditions (`fence`, `expect`) are read before anything of the batch is written; one that does not hold refuses this batch and
/// no other.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The lease under which a run's worker writes.
    pub fence: Option<Fence>,
    /// What must hold.
    pub expect: Vec<Expect>,
    /// What is written, in this order.
    pub writes: Vec<Write>,
    /// Whether somebody waits for it.
    pub urgency: Urgency,
}

/// When a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// With the next group, which starts at once.
    #[default]
    Now,
    /// With the next group that somebody else makes, or after [`stepcast_protocol::limits::WRITE_DELAY`].
    Soon,
}

/// Holds while the run is leased under this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The run.
    pub run: RunId,
    /// The lease's number.
    pub lease: u32,
}

/// A condition on what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// No event has this id, and none of the same name has the same sender's key that is still remembered at `at`.
    EventIsNew(Box<Event>, Timestamp),
    /// The run exists and has not ended.
    RunIsOpen(RunId),
    /// The run exists, whether it has ended or not: another one repeats it.
    RunIsKept(RunId),
    /// The idempotency key is unused on this channel, or no longer remembered at the given time.
    PublishKeyIsFree(ChannelName, String, Timestamp),
    /// The store is in this epoch: what numbers of it the batch holds were given in this life.
    EpochIs(Epoch),
    /// The message is kept.
    MessageIsKept(ChannelName, Cursor),
}

/// One change.
#[derive(Debug, Clone)]
pub enum Write {
    /// A new event. Gets the next place in the order of events.
    Event(Arc<Event>),
    /// The sender's key of an event, remembered until the given time.
    EventKey(Arc<Event>, Timestamp),
    /// A run's row, new or replaced. Its function, event, creation, parent, keys and guards are those of its first row.
    Run(Box<RunRow>),
    /// A step's row, new or replaced as a whole.
    Step(Box<StepRow>),
    /// A new timer.
    Timer(Timer),
    /// A timer that is no longer needed; absent ones are fine.
    ClearTimer(Timer),
    /// A step that waits for an event. [`EventWait::NOW`] becomes the place of the newest event at this commit.
    EventWait(Box<EventWait>),
    /// A wait that is over; absent ones are fine.
    ClearEventWait(RunId, StepId),
    /// A message in a channel's log. Raises the channel's head. A rollback removes what it voids.
    Message(ChannelName, Arc<Message>),
    /// The first message of a run on a channel. A later one for the same two changes nothing.
    RunChannel(RunId, ChannelName, Cursor),
    /// What a run's body has published for good, and per channel the last of it.
    BodySettled {
        /// The run.
        run: RunId,
        /// One entry per message.
        keys: Vec<BodyKey>,
        /// Per channel, the last message that stands.
        channels: Vec<(ChannelName, Cursor)>,
    },
    /// A topic's messages up to and with a cursor go.
    Trim(ChannelName, TopicName, Cursor),
    /// A run's texts on a topic become one message, at the place of the last of them. What it stands for goes.
    FoldText(ChannelName, Arc<Message>),
    /// A channel goes, if nothing is left in its log and no publisher's key of it is remembered. Its numbers are not given again.
    DropChannel(ChannelName),
    /// The last pair a channel gave out, also for holes and `live` messages. Never lowers the head.
    Head(ChannelName, Cursor),
    /// A publisher's idempotency key, remembered until the given time.
    PublishKey {
        /// The channel.
        channel: ChannelName,
        /// The key.
        key: String,
        /// The message it stands for.
        cursor: Cursor,
        /// Until when it is remembered.
        until: Timestamp,
    },
    /// Every leased run goes back to the queue, due at the given time. `Crashed` counts against it, `Released` does not. Queued runs that no
    /// timer wakes are due by then as well: the clock may have been ahead when they were queued.
    VoidLeases(Void, Timestamp),
    /// At most so many runs that ended before a time go, with their steps; as many events from before it that no run was started by any
    /// more; and the keys that nobody remembers at the second time.
    Expire {
        /// What ended or came before this goes.
        before: Timestamp,
        /// The time now.
        now: Timestamp,
        /// How many of each.
        limit: usize,
    },
    /// A setting of the installation.
    Setting(&'static str, Vec<u8>),
}

/// Why leases end all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// Their worker died.
    Crashed,
    /// Their worker was shut down.
    Released,
}

impl Write {
    /// About how many bytes this adds to a transaction.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const ROW: usize = 128;
        ROW + match self {
            Self::Event(event) => event.data.len(),
            Self::Run(run) => run.outcome.as_ref().map_or(0, |outcome| outcome.bytes()),
            Self::Step(step) => step.state.bytes(),
            Self::Message(_, message) | Self::FoldText(_, message) => message.payload.len(),
            Self::BodySettled { keys, channels, .. } => ROW * (keys.len() + channels.len()),
            Self::Setting(_, value) => value.len(),
            Self::EventKey(..)
            | Self::Timer(_)
            | Self::ClearTimer(_)
            | Self::EventWait(_)
            | Self::ClearEventWait(..)
            | Self::Head(..)
            | Self::RunChannel(..)
            | Self::Trim(..)
            | Self::DropChannel(..)
            | Self::PublishKey { .. }
            | Self::Expire { .. }
            | Self::VoidLeases(..) => 0,
        }
    }
}

impl Batch {
    /// A batch without conditions.
    #[must_use]
    pub fn of(writes: Vec<Write>) -> Self {
        Self {
            writes,
            ..Self::default()
        }
    }

    /// About how many bytes it adds to a transaction.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.writes.iter().map(Write::bytes).sum()
    }

    /// Whether it comes from outside and starts something new, so that it is refused while space is short. What runs write goes on, so
    /// that they can end.
    pub(crate) fn brings_work(&self) -> bool {
        let repeats = |expect: &Expect| matches!(expect, Expect::RunIsKept(_));
        if self.expect.iter().any(repeats) {
            return true;
        }
        let is_open = |expect: &Expect| matches!(expect, Expect::RunIsOpen(_));
        let is_of_run = self.fence.is_some() || self.expect.iter().any(is_open);
        let mut publishes = false;
        let mut changes_run = is_of_run;
        for write in &self.writes {
            match write {
                Write::Event(_) => return !is_of_run,
                Write::Message(..) => publishes = true,
                Write::Run(_) | Write::Step(_) | Write::VoidLeases(..) => changes_run = true,
                Write::EventKey(..)
                | Write::Timer(_)
                | Write::ClearTimer(_)
                | Write::EventWait(_)
                | Write::ClearEventWait(..)
                | Write::Head(..)
                | Write::RunChannel(..)
                | Write::BodySettled { .. }
                | Write::Trim(..)
                | Write::FoldText(..)
                | Write::DropChannel(..)
                | Write::PublishKey { .. }
                | Write::Expire { .. }
                | Write::Setting(..) => {}
            }
        }
        publishes && !changes_run
    }
}

/// Proof that a batch is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed(());

impl Committed {
    /// For the store alone: says that a batch is on disk.
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

/// A condition that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another lease holds the run, or none.
    #[error("run {run} is no longer held by lease {lease}; another execution of it has taken over")]
    LeaseLost {
        /// The run.
        run: RunId,
        /// The lease that is over.
        lease: u32,
    },
    /// Events are known already; all that are.
    #[error("{}", describe_known(.0))]
    EventsKnown(Vec<KnownEvent>),
    /// The run has ended.
    #[error("run {0} has ended")]
    RunEnded(RunId),
    /// There is no such run.
    #[error("run {0} does not exist")]
    RunUnknown(RunId),
    /// Idempotency keys were used; all that were, with the messages they stand for.
    #[error("the idempotency key was used for message {}", .0.first().map_or(Cursor::START, |used| used.cursor))]
    KeysUsed(Vec<UsedKey>),
    /// The store has been reopened since.
    #[error("epoch {0} is over, the store was reopened; try again")]
    EpochOver(u64),
    /// The message is not kept, or not yet.
    #[error("message {0} is not kept")]
    MessageNotKept(Cursor),
}

/// An idempotency key that stands for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedKey {
    /// The key.
    pub key: String,
    /// Where the message is.
    pub cursor: Cursor,
}

impl Refusal {
    /// The code this refusal has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::LeaseLost { .. } => ErrorCode::LeaseLost,
            Self::EventsKnown(_) => ErrorCode::BadEvent,
            Self::RunEnded(_) => ErrorCode::RunEnded,
            Self::RunUnknown(_) => ErrorCode::UnknownRun,
            Self::KeysUsed(_) => ErrorCode::BadRequest,
            Self::EpochOver(_) => ErrorCode::Closing,
            Self::MessageNotKept(_) => ErrorCode::BadCursor,
        }
    }
}

/// An event that is not new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownEvent {
    /// The id in the refused batch.
    pub sent: EventId,
    /// The id under which it was accepted.
    pub known: EventId,
}

fn describe_known(events: &[KnownEvent]) -> String {
    let describe = |KnownEvent { sent, known }: &KnownEvent| {
        format!("event {sent} was accepted before as {known}")
    };
    match events {
        [] => "no event was accepted before".to_owned(),
        [one] => describe(one),
        [first, others @ ..] => format!("{}, and {} others were", describe(first), others.len()),
    }
}

/// Why a batch was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold; nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk is full, or nearly so; nothing was written.
    #[error("no space left for the database: {0}")]
    NoSpace(String),
    /// The database refused this batch; nothing was written.
    #[error("the database refused a batch: {0}")]
    Rejected(String),
    /// The disk failed in the middle: it may be written or not. [`super::Store::reopen`] tells.
    #[error("the disk failed while a batch was committed, its outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The store was closed before the batch was committed; nothing was written.
    #[error("the store is closed")]
    Closed,
}

impl CommitError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::NoSpace(_) => ErrorCode::NoSpace,
            Self::Rejected(_) => ErrorCode::Internal,
            Self::OutcomeUnknown(_) => ErrorCode::OutcomeUnknown,
            Self::Closed => ErrorCode::Closing,
        }
    }
}
