//! Frames for all readers of one set of topics, in one buffer.

use bytes::Bytes;
use stepcast_engine::hub::Posted;
use stepcast_protocol::{ChannelName, Cursor};

use super::{ending, frame};

/// What lies between two cursors, as bytes.
pub(super) struct Batch {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    from: Cursor,
    to: Cursor,
    ends_a_run: bool,
}

struct Frame {
    end: usize,
    cursor: Cursor,
}

/// What remains when a socket took only a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Where the reader is once `rest` is sent.
    pub(super) cursor: Cursor,
    /// How many frames are out by then.
    pub(super) frames: usize,
    /// The unsent end of the one frame that was begun.
    pub(super) rest: Bytes,
}

impl Batch {
    /// The frames of these messages, for a reader that goes from `from` to `to`.
    pub(super) fn encode<'a>(
        channel: &ChannelName,
        messages: impl Iterator<Item = &'a Posted> + Clone,
        from: Cursor,
        to: Cursor,
    ) -> Self {
        let sizes = messages.clone();
        let sizes = sizes.map(|posted| posted.wire(channel).len() + frame::HEAD_BYTES);
        let mut bytes = Vec::with_capacity(sizes.sum());
        let mut frames = Vec::new();
        let mut ends_a_run = false;
        for posted in messages {
            frame::put_text(&mut bytes, posted.wire(channel));
            ends_a_run |= ending::is_end(posted);
            frames.push(Frame {
                end: bytes.len(),
                cursor: posted.message().cursor,
            });
        }
        Self {
            bytes,
            frames,
            from,
            to,
            ends_a_run,
        }
    }

    /// Whether a page of npm `inngest` takes nothing in after it.
    pub(super) fn ends_a_run(&self) -> bool {
        self.ends_a_run
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many messages it has.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// What remains after the first `taken` bytes.
    pub(super) fn cut(&self, taken: usize) -> Cut {
        if taken >= self.bytes.len() {
            return Cut {
                cursor: self.to,
                frames: self.frames.len(),
                rest: Bytes::new(),
            };
        }
        let whole = self.frames.partition_point(|frame| frame.end <= taken);
        let (sent, cursor) = match whole.checked_sub(1) {
            Some(last) => (self.frames[last].end, self.frames[last].cursor),
            None => (0, self.from),
        };
        if sent == taken {
            return Cut {
                cursor,
                frames: whole,
                rest: Bytes::new(),
            };
        }
        let begun = &self.frames[whole];
        Cut {
            cursor: begun.cursor,
            frames: whole + 1,
            // A copy: a socket that is full must not keep everybody's batch.
            rest: Bytes::copy_from_slice(&self.bytes[taken..begun.end]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stepcast_protocol::{Epoch, Message, Offset, Timestamp, TopicName};

    use super::*;

    fn at(offset: u64) -> Cursor {
        Cursor::new(Epoch(1), Offset(offset))
    }

    #[test]
    fn wherever_a_socket_stops_every_frame_arrives_once() {
        let channel = ChannelName::parse("c").unwrap();
        let messages: Vec<_> = (2..5)
            .map(|offset| {
                Posted::new(Arc::new(Message {
                    cursor: at(offset),
                    topic: TopicName::parse("t").unwrap(),
                    kind: stepcast_protocol::Kind::Data,
                    payload: Bytes::from(format!("{offset}")),
                    created_at: Timestamp::from_millis(0),
                    origin: None,
                }))
            })
            .collect();
        let from = |after: Cursor| {
            let later = messages
                .iter()
                .filter(move |posted| posted.message().cursor > after);
            Batch::encode(&channel, later, after, at(9))
        };
        let whole = from(at(0));
        for taken in 0..=whole.bytes().len() {
            let cut = whole.cut(taken);
            let mut sent = whole.bytes()[..taken].to_vec();
            sent.extend_from_slice(&cut.rest);
            sent.extend_from_slice(from(cut.cursor).bytes());
            assert_eq!(sent, whole.bytes(), "cut after {taken} bytes");
        }
        assert_eq!(whole.cut(0).frames, 0);
        assert_eq!(whole.cut(1).frames, 1, "one that was begun is finished");
        assert_eq!(whole.cut(whole.bytes().len()).frames, whole.len());
        assert_eq!(whole.cut(0).cursor, at(0));
        assert_eq!(whole.cut(whole.bytes().len()).cursor, at(9));
    }
}
