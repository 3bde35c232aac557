use proptest::prelude::*;
use stepcast_protocol::{Epoch, Offset, StepId, Timestamp};

use super::*;

fn at(offset: u64) -> Cursor {
    Cursor::new(Epoch(7), Offset(offset))
}

fn topic() -> TopicName {
    TopicName::parse("t").unwrap()
}

/// Author 0 is nobody, 1 the body of a run, the others steps of it.
fn origin(author: u8, attempt: u32) -> Option<Arc<Origin>> {
    (author > 0).then(|| {
        Arc::new(Origin {
            run: RunId::from_parts(1, 1),
            step: (author > 1).then(|| StepId::parse(format!("s{author}")).unwrap()),
            attempt,
        })
    })
}

fn message(offset: u64, origin: Option<Arc<Origin>>, kind: Kind) -> Arc<Message> {
    Arc::new(Message {
        cursor: at(offset),
        topic: topic(),
        kind,
        payload: Bytes::from(format!(r#"{{"text":"<{offset}>","n":{offset}}}"#)),
        created_at: Timestamp::from_millis(0),
        origin,
    })
}

/// What happens on the topic.
#[derive(Debug, Clone, Copy)]
enum Step {
    Say(u8),
    /// The author's attempt fails; the next one follows.
    Fail(u8),
    /// The author's attempt settles; what a body says later does not.
    Settle(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8).prop_map(Step::Say),
        1 => (1..4_u8).prop_map(Step::Fail),
        1 => (1..4_u8).prop_map(Step::Settle),
    ]
}

/// A plain list of what was said and stands.
#[derive(Debug, Default)]
struct Model {
    said: Vec<(u8, Arc<Message>)>,
    attempts: [u32; 4],
    settled_to: [u64; 4],
}

impl Model {
    /// Plays one step at an offset, to the list and to the folds.
    fn play(&mut self, step: Step, offset: u64, folds: &mut [Fold; 2]) {
        match step {
            Step::Say(author) => {
                let message = message(offset, origin(author, self.attempt(author)), Kind::Data);
                for fold in folds {
                    fold.apply(&message, author == 0);
                }
                self.said.push((author, message));
            }
            Step::Fail(author) => {
                let after = at(self.settled_to[usize::from(author)]);
                let record = message(
                    offset,
                    origin(author, self.attempt(author)),
                    Kind::Rollback { after },
                );
                for fold in folds {
                    fold.apply(&record, true);
                }
                self.said.retain(|(_, message)| !record.voids(message));
                if author > 1 {
                    self.attempts[usize::from(author)] += 1;
                }
            }
            Step::Settle(author) => {
                let by = origin(author, self.attempt(author)).expect("somebody settles");
                for fold in folds {
                    fold.settle(Settled {
                        origin: &by,
                        up_to: at(offset),
                    });
                }
                if author > 1 {
                    // A step that has settled says nothing more; its id is used by nobody else.
                    self.attempts[usize::from(author)] += 1;
                }
                self.settled_to[usize::from(author)] = offset;
            }
        }
    }

    fn attempt(&self, author: u8) -> u32 {
        1 + self.attempts[usize::from(author)]
    }

    fn texts(&self) -> Vec<(Option<Arc<Origin>>, String, Cursor)> {
        let mut texts: Vec<(Option<Arc<Origin>>, String, Cursor)> = Vec::new();
        for (_, message) in &self.said {
            let delta = format!("<{}>", message.cursor.offset.0);
            match texts
                .iter_mut()
                .find(|(origin, ..)| *origin == message.origin)
            {
                Some((_, text, last)) => {
                    text.push_str(&delta);
                    *last = message.cursor;
                }
                None => texts.push((message.origin.clone(), delta, message.cursor)),
            }
        }
        texts
    }
}

fn text_of(piece: &Message) -> String {
    let payload: Value = serde_json::from_slice(&piece.payload).unwrap();
    assert_eq!(
        payload["n"], piece.cursor.offset.0,
        "other fields are those of the last message"
    );
    payload["text"].as_str().unwrap().to_owned()
}

proptest! {
    #[test]
    fn a_fold_is_what_a_plain_list_comes_to(steps in prop::collection::vec(step(), 0..60)) {
        let text = Keep::Text { field: "text".to_owned() };
        let mut folds = [Fold::of(&Keep::Latest).unwrap(), Fold::of(&text).unwrap()];
        let mut model = Model::default();
        for (offset, step) in (1..).zip(steps) {
            model.play(step, offset, &mut folds);
            let [latest, texts] = &folds;
            let last = model.said.last().map(|(_, message)| message.cursor);
            let shown = latest.snapshot(&topic(), at(offset)).pieces;
            prop_assert_eq!(shown.first().map(|piece| piece.cursor), last);
            let mut shown: Vec<_> = texts
                .snapshot(&topic(), at(offset))
                .pieces
                .iter()
                .map(|piece| (piece.origin.clone(), text_of(piece), piece.cursor))
                .collect();
            let mut expected = model.texts();
            shown.sort_by_key(|(_, _, cursor)| *cursor);
            expected.sort_by_key(|(_, _, cursor)| *cursor);
            prop_assert_eq!(shown, expected);
        }
    }

    #[test]
    fn what_a_latest_topic_needs_no_more_is_never_shown_again(steps in prop::collection::vec(step(), 0..60)) {
        let mut folds = [Fold::of(&Keep::Latest).unwrap(), Fold::of(&Keep::Latest).unwrap()];
        let mut model = Model::default();
        let mut gone = at(0);
        for (offset, step) in (1..).zip(steps) {
            model.play(step, offset, &mut folds);
            let shown = folds[0].snapshot(&topic(), at(offset)).pieces;
            prop_assert!(shown.iter().all(|piece| piece.cursor >= gone));
            gone = folds[0].needs().map_or(gone, |needed| needed.max(gone));
        }
    }
}

#[test]
fn texts_of_a_run_that_has_ended_become_one() {
    let said: Vec<_> = (1..4)
        .map(|offset| Message::clone(&message(offset, origin(2, 1), Kind::Data)))
        .collect();
    let joined = join_texts(said.clone(), "text").unwrap();
    assert_eq!(
        (text_of(&joined), joined.cursor),
        ("<1><2><3>".to_owned(), at(3))
    );
    assert_eq!(join_texts(said[..1].to_vec(), "text"), None);
}

#[test]
fn a_payload_without_the_field_adds_nothing() {
    let mut text = Text::new("text");
    for payload in [r#"{"n":1}"#, "3", r#"{"text":4}"#] {
        let mut message = Message::clone(&message(1, None, Kind::Data));
        message.payload = Bytes::from_static(payload.as_bytes());
        text.push(&Arc::new(message));
    }
    assert_eq!(text.pieces.len(), 1);
    assert_eq!(text.pieces[0].text, "");
}
