use std::collections::BTreeSet;

use proptest::prelude::*;
use stepcast_protocol::{Timestamp, TopicName};

use super::*;

const EPOCH: Epoch = Epoch(7);
/// Where the log begins: a head of an earlier epoch, as after a restart.
const HEAD: Cursor = Cursor {
    epoch: Epoch(3),
    offset: Offset(9),
};

/// How a message is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Seen and kept from its commit on.
    Durable,
    /// Seen at once, kept later.
    Ready,
    /// Seen at once, never kept.
    Live,
}

fn at(offset: u64) -> Cursor {
    Cursor::new(EPOCH, Offset(offset))
}

fn append(log: &mut ChannelLog, kind: Kind) -> Cursor {
    let cursor = log.next_cursor();
    let message = Message {
        cursor,
        topic: TopicName::parse("t").unwrap(),
        kind: stepcast_protocol::Kind::Data,
        payload: Bytes::from_static(b"1"),
        created_at: Timestamp::from_millis(0),
        origin: None,
    };
    log.append(Arc::new(message), kind == Kind::Durable, kind != Kind::Live);
    cursor
}

fn offsets(slice: &Slice) -> Vec<u64> {
    match slice {
        Slice::Tail { messages, .. } => messages
            .iter()
            .map(|posted| posted.message().cursor.offset.0)
            .collect(),
        Slice::UpToDate(_) | Slice::Stored { .. } => Vec::new(),
    }
}

#[test]
fn nobody_sees_past_a_message_that_is_being_committed() {
    let mut log = ChannelLog::new(EPOCH, HEAD);
    let durable = append(&mut log, Kind::Durable);
    let ready = append(&mut log, Kind::Ready);
    assert_eq!((durable, ready), (at(10), at(11)));
    assert!(log.visible() < durable);
    assert!(offsets(&log.read(at(9), usize::MAX)).is_empty());
    assert!(log.settle(durable, true));
    assert_eq!(offsets(&log.read(at(9), usize::MAX)), [10, 11]);
    assert_eq!(log.visible(), ready);
}

#[test]
fn a_failed_message_leaves_a_hole_and_those_behind_it_are_seen() {
    let mut log = ChannelLog::new(EPOCH, HEAD);
    for kind in [Kind::Durable, Kind::Durable, Kind::Live] {
        append(&mut log, kind);
    }
    assert!(!log.settle(at(11), true), "10 still hides it");
    assert!(log.settle(at(10), false));
    assert_eq!(offsets(&log.read(at(9), usize::MAX)), [11, 12]);
    assert_eq!(log.next_cursor(), at(13));
    assert!(log.is_settled());
    assert_eq!(log.head_to_store(), Some(at(12)));
    log.on_head_stored(at(12));
    assert_eq!(log.head_to_store(), None);
}

#[test]
fn a_failed_last_message_is_passed_by_readers() {
    let mut log = ChannelLog::new(EPOCH, HEAD);
    append(&mut log, Kind::Durable);
    assert!(log.settle(at(10), false));
    let Slice::UpToDate(next) = log.read(at(9), usize::MAX) else {
        panic!("there is nothing to read");
    };
    assert_eq!(next, at(10));
    assert!(!log.settle(at(10), true), "a fate is told once");
}

#[test]
fn a_message_that_was_seen_stays_though_it_could_not_be_written() {
    let mut log = ChannelLog::new(EPOCH, HEAD);
    append(&mut log, Kind::Ready);
    assert!(!log.settle(at(10), false));
    assert_eq!(offsets(&log.read(at(9), usize::MAX)), [10]);
    assert!(log.is_settled());
    assert_eq!(log.head_to_store(), Some(at(10)));
}

#[test]
fn a_fate_from_before_a_restart_changes_nothing() {
    let mut log = ChannelLog::new(EPOCH, HEAD);
    append(&mut log, Kind::Durable);
    let earlier = Cursor::new(Epoch(3), Offset(10));
    assert!(!log.settle(earlier, true));
    assert!(log.visible() < at(10));
    assert!(!log.is_settled());
}

/// A plain list of what was accepted, with the rules of numbering and visibility as they are written down.
#[derive(Debug, Default)]
struct Model {
    messages: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    /// Whether it was written; nothing while nobody knows.
    fate: Option<bool>,
}

impl Model {
    fn offset(index: usize) -> u64 {
        HEAD.offset.0 + 1 + index as u64
    }

    fn waits(entry: &Entry) -> bool {
        entry.kind != Kind::Live && entry.fate.is_none()
    }

    fn is_pending(entry: &Entry) -> bool {
        entry.kind == Kind::Durable && entry.fate.is_none()
    }

    fn numbered(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let offsets = (0..).map(Self::offset);
        offsets.zip(&self.messages)
    }

    /// Everything before the oldest pending message that did not fail on the way.
    fn visible(&self) -> Vec<u64> {
        let failed = |entry: &Entry| entry.kind == Kind::Durable && entry.fate == Some(false);
        self.numbered()
            .take_while(|(_, entry)| !Self::is_pending(entry))
            .filter(|(_, entry)| !failed(entry))
            .map(|(offset, _)| offset)
            .collect()
    }

    fn stored(&self) -> BTreeSet<u64> {
        let of = self.numbered();
        of.filter(|(_, entry)| entry.kind != Kind::Live && entry.fate == Some(true))
            .map(|(offset, _)| offset)
            .collect()
    }

    /// The n-th of the messages whose fate is open.
    fn open(&self, n: prop::sample::Index) -> Option<usize> {
        let open: Vec<_> = (0..self.messages.len())
            .filter(|index| Self::waits(&self.messages[*index]))
            .collect();
        (!open.is_empty()).then(|| open[n.index(open.len())])
    }
}

/// Follows what the log says, with the model's store behind it.
struct Reader {
    cursor: Cursor,
    seen: Vec<u64>,
}

impl Reader {
    fn step(&mut self, log: &ChannelLog, model: &Model, max_bytes: usize) {
        let visible = log.visible();
        let before = self.cursor;
        match log.read(self.cursor, max_bytes) {
            Slice::UpToDate(cursor) => self.cursor = cursor,
            Slice::Tail { messages, next } => {
                assert!(!messages.is_empty(), "a reader is not woken for nothing");
                let of = messages.iter().map(|posted| posted.message().cursor);
                self.seen.extend(of.map(|cursor| cursor.offset.0));
                self.cursor = next;
            }
            Slice::Stored { up_to } => {
                assert!(up_to > self.cursor, "the store is not asked in vain");
                let stored = model.stored();
                let page = stored.iter().filter(|offset| {
                    (before..=up_to).contains(&at(**offset)) && at(**offset) > before
                });
                self.seen.extend(page);
                self.cursor = up_to;
            }
        }
        assert!(self.cursor >= before && self.cursor <= visible.max(before));
        assert!(self.seen.iter().all(|offset| at(*offset) <= visible));
    }
}

#[derive(Debug, Clone)]
enum Op {
    Append(Kind),
    Settle(prop::sample::Index, bool),
    Trim(usize),
    Read { reader: usize, max_bytes: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop::sample::select(vec![Kind::Durable, Kind::Ready, Kind::Live]);
    prop_oneof![
        4 => kind.prop_map(Op::Append),
        4 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8)).prop_map(|(n, written)| Op::Settle(n, written)),
        1 => (0_usize..2_000).prop_map(Op::Trim),
        3 => (0_usize..3, 0_usize..1_500).prop_map(|(reader, max_bytes)| Op::Read { reader, max_bytes }),
    ]
}

fn check(log: &ChannelLog, model: &Model, tail: &BTreeSet<u64>) {
    let visible = model.visible();
    // Between the last visible message and the first pending one there may be holes.
    if let Some(last) = visible.last() {
        assert!(log.visible() >= at(*last));
    }
    if let Some((pending, _)) = model.numbered().find(|(_, entry)| Model::is_pending(entry)) {
        assert!(log.visible() < at(pending));
    }
    for (offset, entry) in model.numbered() {
        if Model::waits(entry) {
            assert!(tail.contains(&offset), "{offset} is unwritten and has left");
        }
    }
    let unsettled = model.messages.iter().any(Model::waits);
    assert_eq!(log.is_settled(), !unsettled);
    assert_eq!(log.next_cursor(), at(Model::offset(model.messages.len())));
}

fn tail_of(log: &ChannelLog) -> BTreeSet<u64> {
    let tail = log.tail.iter();
    tail.map(|entry| entry.cursor.offset.0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What is trimmed and not in the store (live ones, and those that were seen and not written) may be missed, nothing else.
    #[test]
    fn readers_see_what_is_visible_once_and_in_order(ops in prop::collection::vec(op(), 1..120)) {
        let (mut log, mut model) = (ChannelLog::new(EPOCH, HEAD), Model::default());
        let start = || Reader { cursor: Cursor::START, seen: Vec::new() };
        let mut readers = [start(), start(), start()];
        let mut given = BTreeSet::new();
        for op in ops {
            match op {
                Op::Append(kind) => {
                    let seen_before = log.visible();
                    let cursor = append(&mut log, kind);
                    prop_assert!(given.insert(cursor), "{cursor} was given twice");
                    prop_assert!(log.visible() >= seen_before);
                    model.messages.push(Entry { kind, fate: None });
                }
                Op::Settle(n, written) => {
                    let Some(index) = model.open(n) else { continue };
                    let before = log.visible();
                    model.messages[index].fate = Some(written);
                    let more = log.settle(at(Model::offset(index)), written);
                    prop_assert_eq!(more, log.visible() != before);
                }
                Op::Trim(bytes) => log.trim(bytes),
                Op::Read { reader, max_bytes } => readers[reader].step(&log, &model, max_bytes),
            }
            check(&log, &model, &tail_of(&log));
        }
        let (visible, stored, tail) = (model.visible(), model.stored(), tail_of(&log));
        for reader in &mut readers {
            while reader.cursor < log.visible() {
                reader.step(&log, &model, 700);
            }
            prop_assert!(reader.seen.is_sorted_by(|a, b| a < b), "{:?}", reader.seen);
            for offset in &visible {
                let must_be_there = stored.contains(offset) || tail.contains(offset);
                prop_assert!(!must_be_there || reader.seen.contains(offset), "{offset} was missed: {:?}", reader.seen);
            }
            prop_assert!(reader.seen.iter().all(|offset| visible.contains(offset)));
        }
    }
}
