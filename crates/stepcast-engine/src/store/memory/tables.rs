//! What is held, in the orders in which it is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use stepcast_protocol::{
    ChannelName, Cursor, Epoch, Event, EventId, EventName, Message, Origin, RunId, StepId,
    Timestamp, TopicName,
};

use crate::store::{BodyKey, EventWait, RunRow, StepRow, StepState, Timer};

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// The life that may read and write.
    pub(super) owner: Option<Epoch>,
    /// Every life, and whether it was closed cleanly.
    pub(super) epochs: BTreeMap<Epoch, bool>,
    /// The first life is not earlier than this.
    pub(super) first_epoch: u64,
    pub(super) settings: BTreeMap<&'static str, Vec<u8>>,
    pub(super) events: BTreeMap<u64, Arc<Event>>,
    pub(super) event_places: BTreeMap<EventId, u64>,
    /// The last place that was given to an event.
    pub(super) last_event: u64,
    pub(super) event_keys: BTreeMap<(EventName, String), (EventId, Timestamp)>,
    pub(super) runs: BTreeMap<RunId, RunRow>,
    pub(super) steps: BTreeMap<RunId, BTreeMap<StepId, StepRow>>,
    pub(super) body: BTreeMap<RunId, BTreeMap<BodyKey, u32>>,
    pub(super) run_channels: BTreeMap<RunId, BTreeMap<ChannelName, RunChannel>>,
    pub(super) timers: BTreeSet<Timer>,
    pub(super) event_waits: BTreeMap<(RunId, StepId), EventWait>,
    pub(super) channels: BTreeMap<ChannelName, Log>,
    /// Messages in the order of their commits.
    pub(super) places: BTreeMap<u64, (ChannelName, Cursor)>,
    /// The last place that was given to a message.
    pub(super) last_place: u64,
    pub(super) offset_floor: u64,
}

/// What a run has published on a channel.
#[derive(Debug)]
pub(super) struct RunChannel {
    pub(super) first: Cursor,
    /// The last message of the body that stands for good.
    pub(super) settled: Cursor,
    /// Whose messages the topics' bounds took before a commit stood behind them, with the last of these.
    pub(super) trimmed: BTreeMap<AttemptOnTopic, Cursor>,
}

/// An attempt of a step of a run, or of its body, and a topic where it has published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttemptOnTopic {
    pub(super) topic: TopicName,
    pub(super) step: Option<StepId>,
    pub(super) attempt: u32,
}

impl AttemptOnTopic {
    /// Of a message that an attempt of the run has published.
    pub(super) fn of(message: &Message, run: RunId) -> Option<Self> {
        let origin = message.origin.as_deref()?;
        let is_meant = message.is_data() && origin.run == run && origin.attempt > 0;
        is_meant.then(|| Self::of_origin(message, origin))
    }

    pub(super) fn of_origin(message: &Message, origin: &Origin) -> Self {
        Self {
            topic: message.topic.clone(),
            step: origin.step.clone(),
            attempt: origin.attempt,
        }
    }
}

/// One channel.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) head: Cursor,
    pub(super) trims: BTreeMap<TopicName, Cursor>,
    pub(super) messages: BTreeMap<Cursor, Kept>,
    pub(super) keys: BTreeMap<String, (Cursor, Timestamp)>,
}

/// A message and its place in the order of commits.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) place: u64,
    pub(super) message: Arc<Message>,
}

impl Tables {
    pub(super) fn begin_epoch(&mut self, now: Timestamp) -> Epoch {
        let after_the_last = self
            .epochs
            .last_key_value()
            .map_or(self.first_epoch.max(1), |(last, _)| last.0 + 1);
        let seconds = u64::try_from(now.as_seconds()).unwrap_or(0);
        let epoch = Epoch(after_the_last.max(seconds));
        self.epochs.insert(epoch, false);
        self.owner = Some(epoch);
        epoch
    }

    pub(super) fn end_epoch(&mut self, epoch: Epoch) {
        self.epochs.insert(epoch, true);
        self.owner = None;
    }

    /// The channel, which gets its row where it has none.
    pub(super) fn log(&mut self, channel: &ChannelName) -> &mut Log {
        self.channels.entry(channel.clone()).or_default()
    }

    pub(super) fn is_done(&self, run: RunId, step: &StepId) -> bool {
        let row = self.steps.get(&run).and_then(|steps| steps.get(step));
        row.is_some_and(|row| matches!(row.state, StepState::Done { .. }))
    }

    /// Whether no commit stands behind what an attempt of the run has published at a cursor.
    pub(super) fn is_unsettled(
        &self,
        run: RunId,
        on: &RunChannel,
        said: &AttemptOnTopic,
        at: Cursor,
    ) -> bool {
        at >= on.first
            && match &said.step {
                None => at > on.settled,
                Some(step) => !self.is_done(run, step),
            }
    }

    pub(super) fn is_waiting(&self, run: RunId, step: &StepId) -> bool {
        let row = self.steps.get(&run).and_then(|steps| steps.get(step));
        row.is_some_and(|row| matches!(row.state, StepState::Waiting { .. }))
    }

    /// Adds a message without looking at the channel's head.
    pub(super) fn insert(&mut self, channel: &ChannelName, message: Arc<Message>) {
        self.last_place += 1;
        let (place, cursor) = (self.last_place, message.cursor);
        self.places.insert(place, (channel.clone(), cursor));
        let kept = Kept { place, message };
        self.log(channel).messages.insert(cursor, kept);
    }

    /// Removes messages of a channel.
    pub(super) fn remove(&mut self, channel: &ChannelName, is_gone: impl Fn(&Message) -> bool) {
        let Self {
            channels, places, ..
        } = self;
        let Some(log) = channels.get_mut(channel) else {
            return;
        };
        log.messages.retain(|_, kept| {
            let gone = is_gone(&kept.message);
            if gone {
                places.remove(&kept.place);
            }
            !gone
        });
    }
}

impl Log {
    /// The pair was given out on the channel.
    pub(super) fn raise(&mut self, cursor: Cursor) {
        self.head = self.head.max(cursor);
    }

    /// Whether nothing of it has to be remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.keys.is_empty()
    }

    /// The topic's messages up to and with the cursor are gone.
    pub(super) fn raise_trim(&mut self, topic: &TopicName, up_to: Cursor) {
        let trim = self.trims.entry(topic.clone()).or_insert(up_to);
        *trim = up_to.max(*trim);
    }
}
