//! The transcripts in `conformance/`, against the real server. Their `README.md` says what the lines mean.

use std::{collections::HashMap, path::PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use stepcast_engine::runs::LeasedRun;
use stepcast_protocol::{
    ChannelGrant, Keep, Retention,
    frame::{ClientFrame, ServerFrame},
};
use tokio::task::JoinHandle;

use crate::{
    clients::Socket,
    server::{TestServer, grant, text},
};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    About(String),
    Client(Value),
    Server(Value),
    Close {
        code: u16,
        reason: String,
    },
    #[serde(untagged)]
    Do(Deed),
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Deed {
    Declare {
        channel: String,
        topics: HashMap<String, String>,
        messages: Option<u64>,
    },
    Token {
        channel: String,
        topics: Vec<String>,
        history: Option<bool>,
        session: Option<u64>,
        r#as: String,
    },
    Connect {
        token: String,
        from: Option<String>,
    },
    Disconnect,
    Publish {
        channel: String,
        topic: String,
        #[serde(default)]
        data: Value,
        times: Option<usize>,
        pad: Option<usize>,
        r#as: Option<String>,
    },
    Say {
        attempt: u32,
        channel: String,
        topic: String,
        data: Value,
        r#as: Option<String>,
    },
    Fail,
    Trimmed {
        channel: String,
        topic: String,
        most: u64,
    },
    Restart,
    Shutdown,
}

/// One transcript under way.
struct Stage {
    server: Option<TestServer>,
    socket: Option<Socket>,
    run: Option<LeasedRun>,
    /// What the run has said on each channel and topic, for which a failure makes one record.
    said: Vec<(String, String)>,
    names: HashMap<String, Value>,
    ending: Option<JoinHandle<()>>,
}

#[tokio::test]
async fn every_transcript_holds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    assert!(files.len() >= 13, "{files:?}");
    for file in files {
        let transcript = std::fs::read_to_string(&file).expect("it can be read");
        let mut stage = Stage {
            server: Some(TestServer::start().await),
            socket: None,
            run: None,
            said: Vec::new(),
            names: HashMap::new(),
            ending: None,
        };
        let name = file
            .file_name()
            .expect("a file has a name")
            .to_string_lossy();
        for (number, line) in (1..).zip(transcript.lines()) {
            let place = format!("{name}:{number}");
            let line =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{place}: {error}"));
            stage.act(line, &place).await;
        }
        stage.end(&name).await;
    }
}

impl Stage {
    fn server(&self) -> &TestServer {
        self.server.as_ref().expect("the server is there")
    }

    fn socket(&mut self) -> &mut Socket {
        self.socket.as_mut().expect("a connection is open")
    }

    async fn act(&mut self, line: Line, place: &str) {
        match line {
            Line::About(about) => assert!(!about.is_empty(), "{place}"),
            Line::Client(frame) => {
                let frame = self.filled(&frame);
                let is_known = serde_json::from_value::<ClientFrame>(frame.clone());
                // What the types cannot say is there to be refused.
                if let Ok(known) = is_known {
                    let mut again = serde_json::to_value(known).expect("a frame is JSON");
                    if frame.get("data").is_none() {
                        again.as_object_mut().expect("an object").remove("data");
                    }
                    assert_eq!(again, frame, "{place}: what the type says");
                }
                self.socket().send(frame).await;
            }
            Line::Server(expected) => {
                let frame = self.socket().next().await;
                self.matches(&expected, &frame, place);
                let read = ServerFrame::parse(&frame.to_string());
                match read.unwrap_or_else(|error| panic!("{place}: {error}")) {
                    ServerFrame::Unknown(kind) => panic!("{place}: `{kind}` has no type"),
                    ServerFrame::Control(control) => {
                        let again = serde_json::to_value(control).expect("a frame is JSON");
                        assert_eq!(again, frame, "{place}: what the type says");
                    }
                    ServerFrame::Data(_)
                    | ServerFrame::Snapshot(_)
                    | ServerFrame::Rollback(_)
                    | ServerFrame::Gap(_) => {}
                }
            }
            Line::Close { code, reason } => {
                let close = self.socket().close_frame().await;
                let close = close.unwrap_or_else(|| panic!("{place}: no close frame"));
                let reason = self.filled(&json!(reason));
                let seen = (u16::from(close.code), json!(close.reason.as_str()));
                assert_eq!(seen, (code, reason), "{place}");
                self.socket = None;
            }
            Line::Do(deed) => self.perform(deed).await,
        }
    }

    async fn perform(&mut self, deed: Deed) {
        match deed {
            Deed::Declare {
                channel,
                topics,
                messages,
            } => {
                let topics = topics.iter().map(|(name, keep)| (&**name, kept_as(keep)));
                let retention = Retention {
                    messages,
                    ..Retention::default()
                };
                self.server()
                    .declare_bounded(&channel, topics.collect(), retention);
            }
            Deed::Token {
                channel,
                topics,
                history,
                session,
                r#as,
            } => {
                let topics: Vec<_> = topics.iter().map(String::as_str).collect();
                let server = self.server();
                let cursor = server.visible(&channel).await;
                let token = server.grant(ChannelGrant {
                    history: history.unwrap_or(true),
                    session,
                    ..grant(&channel, &topics, cursor)
                });
                self.names.insert(r#as, json!(token));
            }
            Deed::Connect { token, from } => {
                let token = self.text(&token);
                let from = from.map(|from| format!("&from={}", self.text(&from)));
                let from = from.unwrap_or_default();
                self.socket = Some(self.server().native(&token, &from).await);
            }
            Deed::Disconnect => self.socket = None,
            Deed::Publish {
                channel,
                topic,
                data,
                times,
                pad,
                r#as,
            } => {
                for _ in 0..times.unwrap_or(1) {
                    let data = pad.map_or_else(|| data.clone(), |pad| json!("x".repeat(pad)));
                    let server = self.server();
                    let cursor = server.publish(&channel, &topic, data.to_string()).await;
                    self.name(r#as.as_deref(), cursor);
                }
            }
            Deed::Say {
                attempt,
                channel,
                topic,
                data,
                r#as,
            } => {
                let run = match self.run.take() {
                    Some(run) => run,
                    None => self.server().run().await,
                };
                let place = (&*channel, &*topic);
                let said = self.server().say(&run, attempt, place, data.to_string());
                let cursor = said.await;
                self.name(r#as.as_deref(), cursor);
                self.run = Some(run);
                let place = (channel, topic);
                if !self.said.contains(&place) {
                    self.said.push(place);
                }
            }
            Deed::Fail => {
                let (channel, _) = self
                    .said
                    .first()
                    .expect("the run has said something")
                    .clone();
                let records = std::mem::take(&mut self.said).len() as u64;
                let server = self.server();
                let before = server.visible(&channel).await;
                TestServer::fail(self.run.as_ref().expect("the run is there"));
                server
                    .until(async |server| {
                        let now = server.visible(&channel).await;
                        now.offset.0 == before.offset.0 + records
                    })
                    .await;
            }
            Deed::Trimmed {
                channel,
                topic,
                most,
            } => {
                self.server()
                    .until(async |server| server.kept_of(&channel, &topic).await <= most)
                    .await;
            }
            Deed::Restart => {
                (self.socket, self.run) = (None, None);
                let server = self.server.take().expect("the server is there");
                self.server = Some(server.restart().await);
            }
            Deed::Shutdown => {
                let gateway = self.server().gateway.clone();
                self.ending = Some(tokio::spawn(async move { gateway.shutdown().await }));
            }
        }
    }

    /// A transcript says everything the server says.
    async fn end(mut self, name: &str) {
        if let Some(mut socket) = self.socket.take() {
            socket.send(json!({ "kind": "ping", "data": "end" })).await;
            let last = socket.next().await;
            assert_eq!(last["data"], "end", "{name}: {last} was not expected");
        }
        if let Some(ending) = self.ending.take() {
            ending.await.expect("the server ends");
        }
    }

    fn name(&mut self, name: Option<&str>, value: impl ToString) {
        if let Some(name) = name {
            self.names.insert(name.to_owned(), json!(value.to_string()));
        }
    }

    fn text(&self, text: &str) -> String {
        let filled = self.filled(&json!(text));
        filled.as_str().expect("a text").to_owned()
    }

    /// The value with what its names stand for.
    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match placeholder(text) {
                Some(name) => self.names.get(name).unwrap_or(value).clone(),
                None => value.clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, field)| (key.clone(), self.filled(field)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Compares, and names what has no name yet.
    fn matches(&mut self, expected: &Value, seen: &Value, place: &str) {
        match (expected, seen) {
            (Value::String(text), _) if placeholder(text).is_some() => {
                let name = placeholder(text).unwrap_or_default();
                if name == "any" {
                    return;
                }
                let known = self.names.entry(name.to_owned());
                let known = known.or_insert_with(|| seen.clone());
                assert_eq!(known, seen, "{place}: <{name}>");
            }
            (Value::Array(expected), Value::Array(seen)) if expected.len() == seen.len() => {
                for (expected, seen) in expected.iter().zip(seen) {
                    self.matches(expected, seen, place);
                }
            }
            (Value::Object(expected), Value::Object(fields)) => {
                let names = |of: &serde_json::Map<String, Value>| -> Vec<String> {
                    let mut names: Vec<_> = of.keys().cloned().collect();
                    names.sort();
                    names
                };
                assert_eq!(names(expected), names(fields), "{place}: {seen}");
                for (key, expected) in expected {
                    self.matches(expected, &fields[key], place);
                }
            }
            _ => assert_eq!(expected, seen, "{place}"),
        }
    }
}

fn placeholder(text: &str) -> Option<&str> {
    let name = text.strip_prefix('<')?.strip_suffix('>')?;
    name.chars()
        .all(|character| character.is_ascii_alphanumeric() || character == '_')
        .then_some(name)
}

fn kept_as(keep: &str) -> Keep {
    match keep {
        "live" => Keep::Live,
        "latest" => Keep::Latest,
        "text" => text(),
        "log" => Keep::Log,
        other => panic!("`{other}` is no keep"),
    }
}
