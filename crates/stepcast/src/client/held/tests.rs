use stepcast_protocol::{Beginning, Epoch, Offset, frame::ServerFrame};

use super::*;

fn at(offset: u64) -> Cursor {
    Cursor::new(Epoch(9), Offset(offset))
}

fn name(topic: &str) -> TopicName {
    TopicName::parse(topic).unwrap()
}

/// Holds two topics from a cursor.
fn held(offset: u64) -> Held {
    let mut held = Held::new(ChannelName::parse("c").unwrap());
    held.begin([name("log"), name("text")], at(offset));
    held
}

fn say(held: &mut Held, json: &str) -> Option<Item> {
    held.take(ServerFrame::parse(json).unwrap()).unwrap()
}

fn data(held: &mut Held, channel: &str, topic: &str, offset: u64) -> bool {
    let frame = format!(
        r#"{{"kind":"data","channel":"{channel}","topic":"{topic}","id":"9-{offset}","data":1,"created_at":"2026-01-01T00:00:00.000Z"}}"#
    );
    say(held, &frame).is_some()
}

fn snapshot(held: &mut Held, topic: &str, offset: u64) -> Item {
    let frame = format!(
        r#"{{"kind":"snapshot","channel":"c","topic":"{topic}","id":"9-{offset}","data":[]}}"#
    );
    say(held, &frame).unwrap()
}

fn gap(held: &mut Held, topic: &str, keep_to: &str) -> Item {
    let frame = format!(
        r#"{{"kind":"gap","channel":"c","topic":"{topic}","keep_to":"{keep_to}","reason":"crashed"}}"#
    );
    say(held, &frame).unwrap()
}

fn places(held: &Held) -> [u64; 2] {
    ["log", "text"].map(|topic| held.topics[&name(topic)].offset.0)
}

#[test]
fn a_message_says_of_every_topic_that_all_before_it_was_there() {
    let mut held = held(1);
    assert!(data(&mut held, "c", "log", 5));
    assert_eq!(places(&held), [5, 5]);
    assert!(!data(&mut held, "c", "log", 5), "it comes twice");
    assert!(!data(&mut held, "c", "text", 4), "it was there before");
    assert!(data(&mut held, "c", "text", 6));
    assert_eq!(held.resume(), Some(at(6)));
}

#[test]
fn a_snapshot_says_nothing_of_other_topics() {
    let mut held = held(0);
    snapshot(&mut held, "text", 4);
    assert_eq!(places(&held), [0, 4]);
    assert_eq!(held.resume(), Some(at(0)));
    assert!(data(&mut held, "c", "log", 1));
    assert!(data(&mut held, "c", "log", 4));
    assert!(!data(&mut held, "c", "text", 4), "the snapshot has it");
    assert_eq!(places(&held), [4, 4]);
}

#[test]
fn a_gap_goes_back_and_what_is_left_comes_again() {
    let mut held = held(0);
    assert!(data(&mut held, "c", "log", 7));
    gap(&mut held, "log", "9-2");
    assert_eq!(places(&held), [2, 7]);
    assert!(data(&mut held, "c", "log", 3));
    assert_eq!(places(&held), [3, 7]);
    gap(&mut held, "log", "0-0");
    assert_eq!(held.resume(), Some(Cursor::START));
}

#[test]
fn a_rollback_counts_like_a_message() {
    let mut held = held(1);
    let frame = r#"{"kind":"rollback","channel":"c","topic":"text","id":"9-6","created_at":"2026-01-01T00:00:00.000Z","after":"9-1","data":[]}"#;
    let Some(Item::Posted { message, fold }) = say(&mut held, frame) else {
        panic!("it is given");
    };
    assert_eq!(message.kind, Kind::Rollback { after: at(1) });
    assert!(fold.is_some_and(|fold| fold.pieces.is_empty()));
    assert_eq!(places(&held), [6, 6]);
    assert!(say(&mut held, frame).is_none());
}

#[test]
fn another_connection_changes_nothing_of_what_is_held() {
    let mut held = held(3);
    held.begin([name("log"), name("new")], at(9));
    assert_eq!(held.topics[&name("log")], at(3));
    assert_eq!(held.topics[&name("new")], at(9));
    held.retain(&[name("new")]);
    assert_eq!(
        held.resume().map(Beginning::After),
        Some(Beginning::After(at(9)))
    );
}

#[test]
fn what_is_not_read_is_nothing() {
    let mut held = held(1);
    assert!(!data(&mut held, "c", "other", 5));
    assert!(!data(&mut held, "d", "log", 5));
    let frame = r#"{"kind":"snapshot","channel":"d","topic":"log","id":"9-5","data":[]}"#;
    assert!(say(&mut held, frame).is_none());
    assert!(say(&mut held, r#"{"kind":"later"}"#).is_none());
    assert_eq!(places(&held), [1, 1]);
}
