//! How an update of a channel looks: as a line of JSON, and as text for people.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;
use stepcast::{Cursor, Gap, Message, Rollback, RunId, RunView, Snapshot, Update};

type Json = Box<RawValue>;

/// An update as it is printed. `kind` says which it is.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Shown<'a> {
    /// A message.
    Message(ShownMessage<'a>),
    /// What a topic has come to: it takes the place of the topic's messages up to its cursor.
    Snapshot {
        topic: &'a str,
        cursor: Cursor,
        messages: Vec<ShownMessage<'a>>,
    },
    /// Messages of a failed attempt between `after` and `cursor` are void.
    Rollback {
        topic: &'a str,
        cursor: Cursor,
        after: Cursor,
        #[serde(flatten)]
        author: Author<'a>,
        /// What a topic that folds has come to without them.
        #[serde(skip_serializing_if = "Option::is_none")]
        messages: Option<Vec<ShownMessage<'a>>>,
    },
    /// Messages after `keep_to` are gone; what is left of them follows.
    Gap {
        topic: &'a str,
        keep_to: Cursor,
        reason: &'static str,
    },
    /// The run that was followed has ended.
    Run(&'a RunView),
}

/// A message as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct ShownMessage<'a> {
    cursor: Cursor,
    topic: &'a str,
    data: &'a RawValue,
    created_at: String,
    #[serde(flatten)]
    author: Author<'a>,
}

/// Who has published it.
#[derive(Debug, Serialize)]
pub(super) struct Author<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
}

impl<'a> Shown<'a> {
    /// Nothing for a kind of update that this version does not know.
    pub(super) fn of(update: &'a Update<Json>) -> Option<Self> {
        Some(match update {
            Update::Message(message) => Self::Message(message.into()),
            Update::Snapshot(Snapshot {
                topic,
                cursor,
                pieces,
            }) => Self::Snapshot {
                topic: topic.as_str(),
                cursor: *cursor,
                messages: pieces.iter().map(ShownMessage::from).collect(),
            },
            Update::Rollback(rollback) => rollback.into(),
            Update::Gap(Gap {
                topic,
                keep_to,
                reason,
            }) => Self::Gap {
                topic: topic.as_str(),
                keep_to: *keep_to,
                reason: reason.as_str(),
            },
            Update::Run(run) => Self::Run(run),
            _ => return None,
        })
    }
}

impl<'a> From<&'a Rollback<Json>> for Shown<'a> {
    fn from(rollback: &'a Rollback<Json>) -> Self {
        let Rollback {
            topic,
            cursor,
            after,
            run,
            step,
            attempt,
            snapshot,
        } = rollback;
        let messages = snapshot.as_deref();
        Self::Rollback {
            topic: topic.as_str(),
            cursor: *cursor,
            after: *after,
            author: Author {
                run_id: *run,
                step_id: step.as_ref().map(|step| step.as_str()),
                attempt: *attempt,
            },
            messages: messages.map(|pieces| pieces.iter().map(ShownMessage::from).collect()),
        }
    }
}

impl<'a> From<&'a Message<Json>> for ShownMessage<'a> {
    fn from(message: &'a Message<Json>) -> Self {
        Self {
            cursor: message.cursor,
            topic: message.topic.as_str(),
            data: &message.data,
            created_at: message.created_at.to_string(),
            author: Author {
                run_id: message.run,
                step_id: message.step.as_ref().map(|step| step.as_str()),
                attempt: message.attempt,
            },
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Snapshot {
                topic,
                cursor,
                messages,
            } => {
                write!(f, "{cursor}  -- snapshot of {topic}: ")?;
                list(f, messages)
            }
            Self::Rollback {
                topic,
                cursor,
                after,
                author,
                messages,
            } => {
                write!(
                    f,
                    "{cursor}  -- rollback on {topic}: {author} failed, what it published after {after} is void"
                )?;
                let Some(messages) = messages else {
                    return Ok(());
                };
                f.write_str("; now ")?;
                list(f, messages)
            }
            Self::Gap {
                topic,
                keep_to,
                reason,
            } => write!(
                f,
                "{keep_to}  -- gap on {topic} ({reason}): messages after this one are gone, what is left of them follows"
            ),
            Self::Run(run) => {
                write!(f, "-- run {} {}", run.run_id, run.status)?;
                match &run.error {
                    Some(error) => write!(f, ": {error}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The messages that a topic has come to, one per line below the first.
fn list(f: &mut fmt::Formatter<'_>, messages: &[ShownMessage<'_>]) -> fmt::Result {
    match messages {
        [] => f.write_str("nothing"),
        [one] => write!(f, "{}", one.data),
        several => several
            .iter()
            .try_for_each(|message| write!(f, "\n    {message}")),
    }
}

impl fmt::Display for ShownMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.cursor, self.topic, self.data)
    }
}

impl fmt::Display for Author<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} of ", self.attempt.unwrap_or_default())?;
        match (self.step_id, self.run_id) {
            (Some(step), Some(run)) => write!(f, "step `{step}` of run {run}"),
            (Some(step), None) => write!(f, "step `{step}`"),
            (None, Some(run)) => write!(f, "run {run}"),
            (None, None) => f.write_str("a run"),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepcast::GapReason;

    use super::*;

    fn message(offset: u64, json: &str) -> Message<Json> {
        Message {
            data: RawValue::from_string(json.to_owned()).unwrap(),
            topic: stepcast_protocol::TopicName::parse("tokens").unwrap(),
            cursor: format!("7-{offset}").parse().unwrap(),
            created_at: stepcast::Timestamp::from_millis(0),
            run: Some("01KASE7J6K0000000000000000".parse().unwrap()),
            step: Some(stepcast_protocol::StepId::parse("stream").unwrap()),
            attempt: Some(2),
        }
    }

    fn check(update: Update<Json>, text: &str, json: &str) {
        let shown = Shown::of(&update).unwrap();
        assert_eq!(shown.to_string(), text);
        assert_eq!(serde_json::to_string(&shown).unwrap(), json);
    }

    #[test]
    fn each_kind_of_update_is_plain() {
        const BY: &str = r#""run_id":"01KASE7J6K0000000000000000","step_id":"stream","attempt":2"#;
        let topic = message(0, "1").topic;
        let one = format!(
            r#"{{"cursor":"7-3","topic":"tokens","data":{{"a":1.50}},"created_at":"1970-01-01T00:00:00.000Z",{BY}}}"#
        );
        check(
            Update::Message(message(3, r#"{"a":1.50}"#)),
            r#"7-3  tokens  {"a":1.50}"#,
            &format!(r#"{{"kind":"message",{}"#, &one[1..]),
        );
        check(
            Update::Snapshot(Snapshot {
                topic: topic.clone(),
                cursor: "7-4".parse().unwrap(),
                pieces: vec![message(3, r#"{"a":1.50}"#)],
            }),
            r#"7-4  -- snapshot of tokens: {"a":1.50}"#,
            &format!(r#"{{"kind":"snapshot","topic":"tokens","cursor":"7-4","messages":[{one}]}}"#),
        );
        check(
            Update::Rollback(Rollback {
                topic: topic.clone(),
                cursor: "7-9".parse().unwrap(),
                after: "7-2".parse().unwrap(),
                run: message(0, "1").run,
                step: message(0, "1").step,
                attempt: Some(2),
                snapshot: Some(Vec::new()),
            }),
            "7-9  -- rollback on tokens: attempt 2 of step `stream` of run 01KASE7J6K0000000000000000 failed, \
             what it published after 7-2 is void; now nothing",
            &format!(
                r#"{{"kind":"rollback","topic":"tokens","cursor":"7-9","after":"7-2",{BY},"messages":[]}}"#
            ),
        );
        check(
            Update::Gap(Gap {
                topic,
                keep_to: "6-1".parse().unwrap(),
                reason: GapReason::Crashed,
            }),
            "6-1  -- gap on tokens (crashed): messages after this one are gone, what is left of them follows",
            r#"{"kind":"gap","topic":"tokens","keep_to":"6-1","reason":"crashed"}"#,
        );
    }
}
