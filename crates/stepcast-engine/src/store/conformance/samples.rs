//! Small values to write, told apart by a number.

use std::sync::Arc;

use bytes::Bytes;
use stepcast_protocol::{
    ChannelName, Cursor, Epoch, Event, EventId, EventName, FunctionId, Kind, Message, Offset,
    Origin, RunError, RunId, StepId, Timestamp, TopicName, event::Extras,
};

use crate::store::{Guards, Phase, RunRow, StepRow, StepState, Verb, Write, rows::Outcome};

/// The n-th run's id.
#[must_use]
pub fn run_id(n: u64) -> RunId {
    RunId::from_parts(n, u128::from(n))
}

/// The n-th event's id.
#[must_use]
pub fn event_id(n: u64) -> EventId {
    EventId::from_parts(n, u128::from(n))
}

/// A time, in milliseconds.
#[must_use]
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A channel's name.
#[must_use]
pub fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

/// A topic's name.
#[must_use]
pub fn topic(name: &str) -> TopicName {
    TopicName::parse(name).unwrap()
}

/// A step's id.
#[must_use]
pub fn step_id(name: &str) -> StepId {
    StepId::parse(name).unwrap()
}

/// An event's name.
#[must_use]
pub fn event_name(name: &str) -> EventName {
    EventName::parse(name).unwrap()
}

/// A pair of epoch and offset.
#[must_use]
pub fn cursor(epoch: u64, offset: u64) -> Cursor {
    Cursor::new(Epoch(epoch), Offset(offset))
}

/// The n-th event, without a key.
#[must_use]
pub fn event(n: u64, name: &str) -> Arc<Event> {
    Arc::new(Event {
        id: event_id(n),
        name: event_name(name),
        data: Bytes::from(format!(r#"{{"n":{n}, "text":"ü"}}"#)),
        key: None,
        at: at(1_000 + i64::try_from(n).unwrap()),
        extras: Extras::default(),
    })
}

/// The n-th event with a sender's key.
#[must_use]
pub fn keyed_event(n: u64, name: &str, key: &str) -> Arc<Event> {
    Arc::new(Event {
        key: Some(key.to_owned()),
        extras: Extras {
            user: Some(Bytes::from_static(br#"{"id": 1.50}"#)),
            v: Some("2".to_owned()),
        },
        ..(*event(n, name)).clone()
    })
}

/// A message of the body of run 1 on the topic.
#[must_use]
pub fn message(cursor: Cursor, topic_name: &str) -> Arc<Message> {
    Arc::new(Message {
        cursor,
        topic: topic(topic_name),
        kind: Kind::Data,
        payload: Bytes::from(format!(r#"{{"at":"{cursor}", "x":1.50}}"#)),
        created_at: at(5),
        origin: Some(Arc::new(Origin {
            run: run_id(1),
            step: None,
            attempt: 2,
        })),
    })
}

/// What an attempt of the n-th run says, of a step or of its body.
#[must_use]
pub fn origin(run: u64, step: Option<&str>, attempt: u32) -> Option<Arc<Origin>> {
    Some(Arc::new(Origin {
        run: run_id(run),
        step: step.map(step_id),
        attempt,
    }))
}

/// A message in the first epoch on channel `c`.
#[must_use]
pub fn said(offset: u64, topic_name: &str, origin: Option<Arc<Origin>>) -> Write {
    let message = Message {
        origin,
        ..(*message(cursor(1, offset), topic_name)).clone()
    };
    Write::Message(channel("c"), Arc::new(message))
}

/// The record on channel `c` that what an attempt said on a topic after an offset is void.
#[must_use]
pub fn rollback(offset: u64, topic_name: &str, origin: Option<Arc<Origin>>, after: u64) -> Write {
    let record = Message {
        kind: Kind::Rollback {
            after: cursor(1, after),
        },
        payload: Bytes::new(),
        origin,
        ..(*message(cursor(1, offset), topic_name)).clone()
    };
    Write::Message(channel("c"), Arc::new(record))
}

/// A message in the first epoch on topic `t`.
#[must_use]
pub fn write_message(name: &str, offset: u64) -> Write {
    Write::Message(channel(name), message(cursor(1, offset), "t"))
}

/// The n-th run, of the n-th event, in a phase.
#[must_use]
pub fn run(n: u64, phase: Phase) -> RunRow {
    RunRow {
        id: run_id(n),
        function: FunctionId::parse("generate").unwrap(),
        event: event_id(n),
        phase,
        lease: u32::from(phase == Phase::Leased),
        attempt: 1,
        crashes: 0,
        due_at: at(100 + i64::try_from(n).unwrap()),
        created_at: at(50),
        started_at: None,
        ended_at: None,
        outcome: None,
        parent: None,
        keys: Vec::new(),
        guards: Guards::default(),
    }
}

/// A step of the n-th run.
#[must_use]
pub fn step(n: u64, name: &str, state: StepState) -> StepRow {
    StepRow {
        run: run_id(n),
        step: step_id(name),
        verb: Verb::Run,
        target: String::new(),
        attempts: 1,
        state,
        began_at: at(40),
        changed_at: at(45),
    }
}

/// A step of the n-th run that has returned a number.
#[must_use]
pub fn done(n: u64, name: &str, seq: u64) -> StepRow {
    let outcome = Outcome::Ok(Bytes::from(seq.to_string()));
    step(n, name, StepState::Done { seq, outcome })
}

/// An error with a cause.
#[must_use]
pub fn error(message: &str) -> RunError {
    RunError {
        code: "function_failed".to_owned(),
        message: message.to_owned(),
        causes: vec!["a cause".to_owned()],
        sdk: None,
    }
}

/// The write of a run.
#[must_use]
pub fn write_run(row: RunRow) -> Write {
    Write::Run(Box::new(row))
}

/// The write of a step.
#[must_use]
pub fn write_step(row: StepRow) -> Write {
    Write::Step(Box::new(row))
}
