//! Messages of one channel that are published in one commit, each of which a key may stand for: what was published under its key before is
//! not published again. Pure.

use std::collections::BTreeMap;

use stepcast_protocol::{ChannelName, Cursor, Timestamp, limits};

use super::publish::Draft;
use crate::store::{CommitError, Expect, Refusal, UsedKey, Write};

/// A message, with the key that stands for it on its channel.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    pub(crate) draft: Draft,
    pub(crate) key: Option<String>,
}

/// Messages for one commit.
#[derive(Debug, Clone)]
pub(crate) struct Together {
    messages: Vec<Keyed>,
    /// Where the messages are that were published before, by their keys.
    known: BTreeMap<String, Cursor>,
}

impl Together {
    pub(crate) fn new(messages: Vec<Keyed>) -> Self {
        let known = BTreeMap::new();
        Self { messages, known }
    }

    /// The same messages, as somebody says them whose keys are his own.
    pub(crate) fn said_by(mut self, change: impl Fn(&mut Keyed)) -> Self {
        self.messages.iter_mut().for_each(change);
        self
    }

    /// What is to be published.
    pub(crate) fn drafts(&self) -> impl Iterator<Item = &Draft> {
        self.rest().map(|keyed| &keyed.draft)
    }

    /// Messages without a key. One with a key may stand already.
    pub(crate) fn unkeyed(&self) -> impl Iterator<Item = &Draft> + Clone {
        let messages = self.messages.iter().filter(|keyed| keyed.key.is_none());
        messages.map(|keyed| &keyed.draft)
    }

    /// That the keys of what is to be published are free.
    pub(crate) fn expects(&self, channel: &ChannelName, now: Timestamp) -> Vec<Expect> {
        let keys = self.rest().filter_map(|keyed| keyed.key.clone());
        let expect = |key| Expect::PublishKeyIsFree(channel.clone(), key, now);
        keys.map(expect).collect()
    }

    /// That they are used, once the messages have their numbers.
    pub(crate) fn writes(
        &self,
        channel: &ChannelName,
        cursors: &[Cursor],
        now: Timestamp,
    ) -> Vec<Write> {
        let write = |(keyed, cursor): (&Keyed, &Cursor)| {
            Some(Write::PublishKey {
                channel: channel.clone(),
                key: keyed.key.clone()?,
                cursor: *cursor,
                until: now + limits::IDEMPOTENCY_WINDOW,
            })
        };
        self.rest().zip(cursors).filter_map(write).collect()
    }

    /// What the commit has come to: where all messages are. Nothing, when some turned out to be known and the rest is to be published.
    ///
    /// # Errors
    /// The commit's, unless it is about a key.
    pub(crate) fn on_fate(
        &mut self,
        fate: Result<Vec<Cursor>, CommitError>,
    ) -> Result<Option<Vec<Cursor>>, CommitError> {
        let published = match fate {
            Ok(cursors) => cursors,
            Err(CommitError::Refused(Refusal::KeysUsed(used))) => {
                let places = used
                    .into_iter()
                    .map(|UsedKey { key, cursor }| (key, cursor));
                self.known.extend(places);
                if self.rest().next().is_some() {
                    return Ok(None);
                }
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let mut published = published.into_iter();
        let place = |keyed: &Keyed| self.known_at(keyed).or_else(|| published.next());
        Ok(Some(self.messages.iter().filter_map(place).collect()))
    }

    fn rest(&self) -> impl Iterator<Item = &Keyed> {
        let messages = self.messages.iter();
        messages.filter(|keyed| self.known_at(keyed).is_none())
    }

    fn known_at(&self, keyed: &Keyed) -> Option<Cursor> {
        let key = keyed.key.as_ref()?;
        self.known.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use stepcast_protocol::{Epoch, Keep, Offset, TopicName};

    use super::*;

    fn at(offset: u64) -> Cursor {
        Cursor::new(Epoch(1), Offset(offset))
    }

    fn used(key: &str, offset: u64) -> Result<Vec<Cursor>, CommitError> {
        let (key, cursor) = (key.to_owned(), at(offset));
        let used = vec![UsedKey { key, cursor }];
        Err(CommitError::Refused(Refusal::KeysUsed(used)))
    }

    fn together(keys: [Option<&str>; 3]) -> Together {
        let message = |(topic, key): (&str, Option<&str>)| Keyed {
            draft: Draft::new(
                TopicName::parse(topic).unwrap(),
                Keep::Log,
                "1".into(),
                None,
            ),
            key: key.map(str::to_owned),
        };
        Together::new(["t", "u", "w"].into_iter().zip(keys).map(message).collect())
    }

    fn topics(together: &Together) -> Vec<&str> {
        let drafts = together.drafts();
        drafts.map(|draft| draft.topic.as_str()).collect()
    }

    #[test]
    fn what_was_published_before_is_left_out_and_keeps_its_place() {
        let mut messages = together([Some("a"), Some("b"), None]);
        assert_eq!(messages.on_fate(used("b", 3)).unwrap(), None);
        assert_eq!(topics(&messages), ["t", "w"]);
        let name = ChannelName::parse("c").unwrap();
        let now = Timestamp::from_millis(0);
        assert_eq!(messages.expects(&name, now).len(), 1);
        let cursors = [at(8), at(9)];
        let [Write::PublishKey { key, cursor, .. }] = &messages.writes(&name, &cursors, now)[..]
        else {
            panic!("one key");
        };
        assert_eq!((&**key, *cursor), ("a", at(8)));
        let places = messages.on_fate(Ok(cursors.to_vec())).unwrap();
        assert_eq!(places, Some(vec![at(8), at(3), at(9)]));
    }

    #[test]
    fn when_all_are_known_nothing_is_left_to_publish() {
        let mut messages = together([Some("a"), Some("b"), Some("c")]);
        for (key, offset) in [("c", 7), ("a", 5)] {
            assert_eq!(messages.on_fate(used(key, offset)).unwrap(), None);
        }
        let places = messages.on_fate(used("b", 6)).unwrap();
        assert_eq!(places, Some(vec![at(5), at(6), at(7)]));
    }
}
