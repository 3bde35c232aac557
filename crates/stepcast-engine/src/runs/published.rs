//! What a run has published that no commit stands behind yet, and what its body has published for good.
//!
//! A publish takes its number under this lock, and so does the record that takes it back: after an attempt has fallen, nothing of it can
//! get a number any more. Nothing here is durable by itself: a crash finds the same in the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use stepcast_protocol::{
    ChannelName, Cursor, Keep, Offset, Origin, RunId, StepId, TopicName, limits,
};

use super::transition::Verdict;
use crate::{
    error::EngineError,
    hub::{Channel, Draft, Outgoing},
    store::{BodyKey, Write},
};

impl BodyKey {
    /// What a replay recognises a message by.
    #[must_use]
    pub fn of(channel: &ChannelName, topic: &TopicName, payload: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for name in [channel.as_str(), topic.as_str()] {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        hash.update(payload);
        let hash: [u8; 32] = hash.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        Self(key)
    }
}

/// The messages of one run.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// What each attempt of a step, and of the body where there is none, has said so far.
    attempts: BTreeMap<Attempt, Said>,
    /// Per step, the last attempt that is over.
    over: BTreeMap<StepId, u32>,
    /// Set when nobody executes the run any more.
    is_closed: bool,
    /// What the body has published for good, and how often.
    settled: BTreeMap<BodyKey, u32>,
    /// How many messages that are.
    settled_count: usize,
    /// Channels of which the store knows that the run has published there.
    marked: BTreeSet<ChannelName>,
}

/// A step, or the body, and the number of its attempt. A dropped attempt may not be judged yet when the next one speaks.
type Attempt = (Option<StepId>, u32);

fn attempt_of(origin: &Origin) -> Attempt {
    (origin.step.clone(), origin.attempt)
}

/// What one attempt has said.
#[derive(Debug)]
struct Said {
    origin: Arc<Origin>,
    topics: Vec<SaidOn>,
    /// One per message of the body.
    keys: Vec<BodyKey>,
}

/// What one attempt has said on one topic.
#[derive(Debug)]
struct SaidOn {
    channel: Arc<Channel>,
    topic: TopicName,
    keep: Keep,
    first: Cursor,
    last: Cursor,
}

/// A message that may be posted.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Whether the store does not know yet that the run has published on this channel.
    pub(super) is_first_on_channel: bool,
    key: Option<BodyKey>,
}

/// What verdicts came to, until their commit is known.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Records that take messages back.
    pub(super) rollbacks: Vec<Outgoing>,
    /// What the store has to remember.
    pub(super) writes: Vec<Write>,
    stand: Vec<Said>,
    fell: Vec<Said>,
}

impl Published {
    pub(super) fn new(settled: Vec<(BodyKey, u32)>) -> Self {
        let count = |(_, count): &(BodyKey, u32)| usize::try_from(*count).unwrap_or(usize::MAX);
        Self {
            settled_count: settled.iter().map(count).sum(),
            settled: settled.into_iter().collect(),
            ..Self::default()
        }
    }

    /// What a replay of the body need not publish again.
    pub(super) fn settled(&self) -> BTreeMap<BodyKey, u32> {
        self.settled.clone()
    }

    /// Somebody executes the run again.
    pub(super) fn open(&mut self) {
        self.is_closed = false;
        self.attempts.clear();
    }

    /// Whether an attempt may publish. What a body says that `replays` in this process is remembered, so that it is not said again.
    ///
    /// # Errors
    /// [`EngineError::AttemptOver`] and [`EngineError::TooManyBodyPublishes`].
    pub(super) fn admit(
        &self,
        origin: &Origin,
        channel: &ChannelName,
        draft: &Draft,
        replays: bool,
    ) -> Result<Admitted, EngineError> {
        let is_over = match &origin.step {
            None => false,
            Some(step) => self
                .over
                .get(step)
                .is_some_and(|over| origin.attempt <= *over),
        };
        if self.is_closed || is_over {
            return Err(EngineError::AttemptOver {
                run: origin.run,
                step: origin.step.clone(),
                attempt: origin.attempt,
            });
        }
        let key = match origin.step {
            Some(_) => None,
            None if !replays => None,
            None => {
                let of_body = self.attempts.values().map(|said| said.keys.len());
                let unsettled: usize = of_body.sum();
                if self.settled_count + unsettled >= limits::BODY_MESSAGES_PER_RUN {
                    return Err(EngineError::TooManyBodyPublishes { run: origin.run });
                }
                Some(BodyKey::of(channel, &draft.topic, &draft.payload))
            }
        };
        Ok(Admitted {
            is_first_on_channel: draft.keep.is_stored() && !self.marked.contains(channel),
            key,
        })
    }

    /// Whether somebody outside of this process may speak here. Steps, channels and topics are what he says they are, so there is a bound.
    pub(super) fn has_room(
        &self,
        origin: &Origin,
        channel: &ChannelName,
        topic: &TopicName,
    ) -> bool {
        match self.attempts.get(&attempt_of(origin)) {
            None => self.attempts.len() < limits::STEPS_PER_RUN,
            Some(said) => {
                said.topics.len() < limits::TOPICS_PER_ATTEMPT
                    || said
                        .topics
                        .iter()
                        .any(|known| known.topic == *topic && known.channel.name() == channel)
            }
        }
    }

    /// A message was posted.
    pub(super) fn note(
        &mut self,
        origin: &Arc<Origin>,
        channel: &Arc<Channel>,
        (topic, keep): (TopicName, Keep),
        cursor: Cursor,
        admitted: Admitted,
    ) {
        let said = self
            .attempts
            .entry(attempt_of(origin))
            .or_insert_with(|| Said::new(origin));
        said.keys.extend(admitted.key);
        let is_known =
            |known: &&mut SaidOn| known.topic == topic && Arc::ptr_eq(&known.channel, channel);
        match said.topics.iter_mut().find(is_known) {
            Some(known) => known.last = known.last.max(cursor),
            None => said.topics.push(SaidOn {
                channel: Arc::clone(channel),
                topic,
                keep,
                first: cursor,
                last: cursor,
            }),
        }
    }

    /// The store knows that the run has published on the channel.
    pub(super) fn on_marked(&mut self, channel: ChannelName) {
        self.marked.insert(channel);
    }

    /// Whether the store is known to know that the run has published on the channel.
    pub(super) fn has_marked(&self, channel: &ChannelName) -> bool {
        self.marked.contains(channel)
    }

    /// Channels of which that is known.
    pub(super) fn marked(&self) -> Vec<ChannelName> {
        self.marked.iter().cloned().collect()
    }

    /// A message that was posted could not be written, and its publisher was told.
    pub(super) fn forget(&mut self, origin: &Origin, channel: &ChannelName, draft: &Draft) {
        let key = BodyKey::of(channel, &draft.topic, &draft.payload);
        if let Some(said) = self.attempts.get_mut(&attempt_of(origin))
            && let Some(index) = said.keys.iter().rposition(|known| *known == key)
        {
            said.keys.remove(index);
        }
    }

    /// What a transition has decided about messages, as records and writes for its commit.
    pub(super) fn judge(&mut self, run: RunId, verdicts: &[Verdict], judged: &mut Judged) {
        for verdict in verdicts {
            match verdict {
                Verdict::StepStands(step, attempt) => {
                    let said = self.end_attempt(step, *attempt);
                    judged.stand.extend(said);
                }
                Verdict::StepFalls(step, attempt) => {
                    let said = self.end_attempt(step, *attempt);
                    said.into_iter().for_each(|said| judged.fall(said));
                }
                Verdict::OpenStepsFall => {
                    self.is_closed = true;
                    let open = self.take(|(step, _)| step.is_some());
                    open.into_iter().for_each(|said| judged.fall(said));
                }
                Verdict::BodyStands => {
                    let body = self.take(|(step, _)| step.is_none());
                    body.into_iter().for_each(|body| judged.settle(run, body));
                }
                Verdict::BodyFalls => {
                    let body = self.take(|(step, _)| step.is_none());
                    body.into_iter().for_each(|body| judged.fall(body));
                }
            }
        }
    }

    fn end_attempt(&mut self, step: &StepId, attempt: u32) -> Option<Said> {
        self.over.insert(step.clone(), attempt);
        self.attempts.remove(&(Some(step.clone()), attempt))
    }

    fn take(&mut self, is_meant: impl Fn(&Attempt) -> bool) -> Vec<Said> {
        let meant = self.attempts.extract_if(.., |attempt, _| is_meant(attempt));
        meant.map(|(_, said)| said).collect()
    }

    /// The commit of what was judged is on disk.
    pub(super) fn on_committed(&mut self, judged: &Judged) {
        for said in &judged.stand {
            for key in &said.keys {
                *self.settled.entry(*key).or_default() += 1;
                self.settled_count += 1;
            }
        }
    }

    /// What was judged is judged again, as its commit found no space.
    pub(super) fn restore(&mut self, judged: Judged) {
        for mut said in judged.stand.into_iter().chain(judged.fell) {
            let attempt = attempt_of(&said.origin);
            if let Some(later) = self.attempts.remove(&attempt) {
                said.append(later);
            }
            self.attempts.insert(attempt, said);
        }
    }
}

impl Judged {
    /// Attempts that stand, for the folds: who, on which channel, up to which message.
    pub(super) fn standing(&self) -> impl Iterator<Item = (&Arc<Channel>, &Origin, Cursor)> {
        self.stand.iter().flat_map(|said| {
            let channels = said.channels();
            channels
                .into_iter()
                .map(|(channel, last)| (channel, &*said.origin, last))
        })
    }

    fn fall(&mut self, said: Said) {
        for SaidOn {
            channel,
            topic,
            keep,
            first,
            ..
        } in &said.topics
        {
            let before_first = Cursor {
                offset: Offset(first.offset.0.saturating_sub(1)),
                ..*first
            };
            let origin = Arc::clone(&said.origin);
            self.rollbacks.push(Outgoing {
                channel: Arc::clone(channel),
                draft: Draft::rollback(topic.clone(), keep.clone(), origin, before_first),
            });
        }
        self.fell.push(said);
    }

    fn settle(&mut self, run: RunId, body: Said) {
        let stored = body.channels().into_iter();
        self.writes.push(Write::BodySettled {
            run,
            keys: body.keys.clone(),
            channels: stored
                .map(|(channel, last)| (channel.name().clone(), last))
                .collect(),
        });
        self.stand.push(body);
    }
}

impl Said {
    fn new(origin: &Arc<Origin>) -> Self {
        Self {
            origin: Arc::clone(origin),
            topics: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Each channel once, with the last message on it.
    fn channels(&self) -> Vec<(&Arc<Channel>, Cursor)> {
        let mut channels: Vec<(&Arc<Channel>, Cursor)> = Vec::new();
        for said in &self.topics {
            match channels
                .iter_mut()
                .find(|(channel, _)| Arc::ptr_eq(channel, &said.channel))
            {
                Some((_, last)) => *last = said.last.max(*last),
                None => channels.push((&said.channel, said.last)),
            }
        }
        channels
    }

    fn append(&mut self, later: Self) {
        self.keys.extend(later.keys);
        for said in later.topics {
            let known = self.topics.iter_mut().find(|known| {
                known.topic == said.topic && Arc::ptr_eq(&known.channel, &said.channel)
            });
            match known {
                Some(known) => known.last = known.last.max(said.last),
                None => self.topics.push(said),
            }
        }
    }
}
