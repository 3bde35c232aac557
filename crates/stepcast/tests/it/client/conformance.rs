//! The transcripts in `conformance/`, the other way round: a server that says the `server` lines, word for word, and the real client on the
//! other end. So the client is held against what is written down and not against what our server does today, and what it says and
//! holds is checked line by line: the address it connects to, the token, the cursor it comes back with, the frames it sends.
//!
//! The real server is held against the same lines by `stepcast-http`, and the two meet in `differential`.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepcast::{
    Client, Error, PayloadError, Position,
    channel::{Channel, ChannelAt, ChannelSpec, Keep, TopicName, TopicSpec},
};
use stepcast_protocol::{Cursor, Epoch, Offset, Retention};

use super::{
    holder::Holding,
    mock::{Mock, Peer},
};

/// What the client holds at the end of each transcript, and the cursor with which it comes back where the server has closed the connection.
#[rustfmt::skip]
const TRANSCRIPTS: [(&str, &str, Option<&str>); 13] = [
    ("01-hello-and-data", r#"{"said": [{"text": "between"}, "by a run"], "typing": [null]}"#, None),
    ("02-from-start", r#"{"log": [1, 2], "status": ["second"], "tokens": [{"token": "Hello!"}]}"#, None),
    ("03-last", r#"{"t": [2, 3]}"#, None),
    ("04-resume", r#"{"t": [1, 2, 3]}"#, None),
    ("05-gap-by-trimming", r#"{"t": ["any"]}"#, None),
    ("06-gap-unknown-epoch", r#"{"log": [1], "status": ["now"]}"#, None),
    ("07-rollback-live", r#"{"tokens": [{"token": "So: "}, {"token": "right"}]}"#, None),
    ("08-rollback-while-away", r#"{"log": [3]}"#, None),
    ("09-sub-and-unsub", r#"{"t": [6]}"#, None),
    ("10-auth", r#"{"t": [1]}"#, Some("<one>")),
    ("11-errors", "{}", None),
    ("12-ping", "{}", None),
    ("13-closing", "{}", Some("<begin>")),
];

/// Lines that this client never says, and why. Their answers are sent all the same: it has to pay no heed to them.
fn is_said(transcript: &str, frame: &Value) -> bool {
    match transcript {
        // It shows another token when three quarters of the first session are over; the second one lasts longer than this test.
        "10-auth" => frame["ref"] == 1,
        // 09: a subscription has a connection of its own, so nothing is added to it; what the frames mean is tested beside the session.
        // 11: malformed on purpose, or what only a client of several channels can get wrong.
        // 03, 12: it sees the pings of WebSocket, and asks only where these are missing: see `troubles`.
        "03-last" | "09-sub-and-unsub" | "11-errors" | "12-ping" => false,
        other => panic!("{other}: nothing is known of {frame}"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    About(serde::de::IgnoredAny),
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
#[serde(tag = "do", rename_all = "snake_case")]
enum Deed {
    Declare {},
    Token {
        channel: String,
        r#as: String,
    },
    Connect {
        token: String,
        from: Option<String>,
    },
    Disconnect,
    Publish {
        times: Option<u64>,
        r#as: Option<String>,
    },
    Say {
        channel: String,
        topic: String,
        r#as: Option<String>,
    },
    Fail,
    Trimmed {},
    Restart,
    Shutdown,
}

/// Any payload on any topic that a transcript names, in a channel whose name has so many parts.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Anything<const PARTS: usize> {
    topic: String,
    data: Value,
}

fn spec(template: &str) -> ChannelSpec {
    let topic = |name: &str| TopicSpec {
        name: TopicName::parse(name).unwrap(),
        keep: match name {
            "tokens" => Keep::Text {
                field: "token".to_owned(),
            },
            "status" => Keep::Latest,
            _ => Keep::Log,
        },
        retention: Retention::default(),
        schema: None,
        doc: String::new(),
    };
    let topics = [
        "log", "said", "status", "t", "tokens", "typing", "u", "x", "y",
    ];
    ChannelSpec {
        template: template.parse().unwrap(),
        topics: topics.map(topic).to_vec(),
        rust_type: String::new(),
        doc: String::new(),
    }
}

impl<const PARTS: usize> Channel for Anything<PARTS> {
    fn spec() -> &'static ChannelSpec {
        static ONE: LazyLock<ChannelSpec> = LazyLock::new(|| spec("{name}"));
        static TWO: LazyLock<ChannelSpec> = LazyLock::new(|| spec("{name}:{rest}"));
        if PARTS == 1 { &ONE } else { &TWO }
    }

    fn topic(&self) -> &'static TopicSpec {
        let mut topics = Self::spec().topics.iter();
        topics.find(|topic| topic.name == *self.topic).unwrap()
    }

    fn encode(&self) -> Result<Bytes, PayloadError> {
        Ok(self.data.to_string().into())
    }

    fn decode(topic: &TopicName, payload: &[u8]) -> Result<Self, PayloadError> {
        Ok(Self {
            topic: topic.to_string(),
            data: serde_json::from_slice(payload).unwrap(),
        })
    }
}

fn at<const PARTS: usize>(name: &str) -> ChannelAt<Anything<PARTS>> {
    let parts: Vec<_> = name.split(':').map(str::to_owned).collect();
    stepcast::__macro::at(&parts)
}

/// One transcript under way.
struct Stage {
    name: &'static str,
    mock: Mock,
    peer: Option<Peer>,
    holding: Option<Holding>,
    names: HashMap<String, Value>,
    /// The channel of each token.
    channels: HashMap<String, String>,
    /// Those that the client is given, in this order, and the last again and again.
    tokens: Arc<Mutex<VecDeque<String>>>,
    head: Cursor,
    said: Vec<(String, String)>,
    /// Records that have their numbers already.
    records: VecDeque<Cursor>,
}

#[tokio::test]
async fn every_transcript_holds_for_the_client() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let files = std::fs::read_dir(&folder).unwrap();
    let is_transcript = |file: &std::fs::DirEntry| {
        file.path()
            .extension()
            .is_some_and(|ending| ending == "jsonl")
    };
    let count = files
        .filter(|file| is_transcript(file.as_ref().unwrap()))
        .count();
    assert_eq!(count, TRANSCRIPTS.len(), "each has its line above");
    for (name, held, back) in TRANSCRIPTS {
        let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
        let lines: Vec<Line> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let mut stage = Stage::new(name, &lines).await;
        for (number, line) in (1..).zip(lines) {
            stage.act(line, &format!("{name}:{number}")).await;
        }
        stage.end(held, back).await;
    }
}

impl Stage {
    async fn new(name: &'static str, lines: &[Line]) -> Self {
        let shown = lines.iter().filter_map(|line| match line {
            Line::Do(Deed::Connect { token, .. }) => Some(token.clone()),
            Line::Client(frame) if frame["kind"] == "auth" && is_said(name, frame) => {
                Some(frame["token"].as_str().unwrap().to_owned())
            }
            _ => None,
        });
        Self {
            name,
            mock: Mock::start().await,
            peer: None,
            holding: None,
            names: HashMap::new(),
            channels: HashMap::new(),
            tokens: Arc::new(Mutex::new(shown.collect())),
            head: Cursor::new(Epoch(9), Offset(1)),
            said: Vec::new(),
            records: VecDeque::new(),
        }
    }

    async fn act(&mut self, line: Line, place: &str) {
        match line {
            Line::Client(frame) if is_said(self.name, &frame) => {
                let heard = self.peer().hear().await;
                assert_eq!(heard, self.filled(&frame, ""), "{place}");
            }
            Line::About(_) | Line::Client(_) => {}
            Line::Server(frame) => {
                let frame = self.filled(&frame, "");
                self.peer().say(&frame).await;
            }
            Line::Close { code, reason } => {
                self.peer().settle().await;
                let reason = self.filled(&json!(reason), "");
                let reason = reason.as_str().unwrap().to_owned();
                self.peer().close(code, &reason).await;
                self.peer = None;
            }
            Line::Do(deed) => self.perform(deed, place).await,
        }
    }

    async fn perform(&mut self, deed: Deed, place: &str) {
        match deed {
            Deed::Declare {} | Deed::Trimmed {} | Deed::Shutdown => {}
            Deed::Token { channel, r#as } => {
                self.channels.insert(r#as.clone(), channel);
                let token = format!("token-{as}", r#as = r#as);
                self.names.insert(r#as, json!(token));
            }
            Deed::Connect { token, from } => {
                let from =
                    from.map(|from| self.filled(&json!(from), "").as_str().unwrap().to_owned());
                if self.holding.is_none() {
                    self.subscribe(&token, from.as_deref());
                }
                self.accept(&token, from.as_deref(), place).await;
            }
            Deed::Disconnect => self.drop_peer().await,
            Deed::Publish { times, r#as } => {
                for _ in 0..times.unwrap_or(1) {
                    self.publish(r#as.as_deref());
                }
            }
            Deed::Say {
                channel,
                topic,
                r#as,
            } => {
                self.publish(r#as.as_deref());
                if !self.said.contains(&(channel.clone(), topic.clone())) {
                    self.said.push((channel, topic));
                }
            }
            Deed::Fail => {
                for _ in std::mem::take(&mut self.said) {
                    let record = self.next();
                    self.records.push_back(record);
                }
            }
            Deed::Restart => {
                self.drop_peer().await;
                self.head.epoch.0 += 1;
            }
        }
    }

    /// Begins to read as a client would that is where the first connection begins.
    fn subscribe(&mut self, token: &str, from: Option<&str>) {
        let channel = self.channels[name_in(token).unwrap()].clone();
        self.holding = Some(if channel.contains(':') {
            self.hold(&at::<2>(&channel), from)
        } else {
            self.hold(&at::<1>(&channel), from)
        });
    }

    fn hold<C: Channel>(&self, channel: &ChannelAt<C>, from: Option<&str>) -> Holding {
        let client = Client::new(&self.mock.url()).unwrap();
        let tokens = Arc::clone(&self.tokens);
        let next = move || {
            let mut tokens = tokens.lock().unwrap();
            let token = match tokens.len() {
                1 => tokens[0].clone(),
                _ => tokens.pop_front().unwrap(),
            };
            let token = format!("token-{}", name_in(&token).unwrap());
            std::future::ready(Ok::<_, Error>(token))
        };
        let updates = client.subscribe_with_token(channel, next);
        Holding::of(match from {
            Some(from) => updates.from(from.parse::<Position>().unwrap()),
            None => updates,
        })
    }

    async fn accept(&mut self, token: &str, from: Option<&str>, place: &str) {
        let peer = self.mock.accept().await;
        let token = self.filled(&json!(token), "");
        assert_eq!(json!(peer.query["token"]), token, "{place}");
        let asked = peer.query.get("from").map(String::as_str);
        assert_eq!(asked, from, "{place}");
        self.peer = Some(peer);
    }

    async fn end(mut self, held: &str, back: Option<&str>) {
        if let Some(peer) = &mut self.peer {
            peer.settle().await;
        }
        let name = self.name;
        let holder = self.holding.as_ref().unwrap().now();
        let held: Value = serde_json::from_str(held).unwrap();
        assert_eq!(json!(holder.shown()), held, "{name}");
        assert_eq!(holder.end, None, "{name}");
        if let Some(back) = back {
            let back = self.filled(&json!(back), "");
            let peer = self.mock.accept().await;
            assert_eq!(json!(peer.query["from"]), back, "{name}");
        }
    }

    fn peer(&mut self) -> &mut Peer {
        self.peer.as_mut().expect("a connection is open")
    }

    async fn drop_peer(&mut self) {
        if let Some(mut peer) = self.peer.take() {
            peer.settle().await;
        }
    }

    fn publish(&mut self, name: Option<&str>) {
        let cursor = self.next();
        if let Some(name) = name {
            self.names
                .insert(name.to_owned(), json!(cursor.to_string()));
        }
    }

    fn next(&mut self) -> Cursor {
        self.head.offset.0 += 1;
        self.head
    }

    /// The value with what its names stand for. What has no name yet is given a value for its key.
    fn filled(&mut self, value: &Value, key: &str) -> Value {
        match value {
            Value::String(text) => match name_in(text) {
                None => value.clone(),
                Some("any") => self.invented(key, ""),
                Some(name) => match self.names.get(name) {
                    Some(known) => known.clone(),
                    None => {
                        let invented = self.invented(key, name);
                        self.names.insert(name.to_owned(), invented.clone());
                        invented
                    }
                },
            },
            Value::Array(items) => items.iter().map(|item| self.filled(item, key)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, field)| (key.clone(), self.filled(field, key)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn invented(&mut self, key: &str, name: &str) -> Value {
        match key {
            "epoch" => json!(self.head.epoch.0),
            "created_at" => json!("2026-11-23T19:34:01.203Z"),
            "env_id" => json!("00000000-0000-4000-b000-000000000000"),
            "run_id" => json!("01KASE7J6K0000000000000000"),
            "after" => json!("0-0"),
            "reconnect_ms" => json!(5),
            // With the newest messages, a reading begins before them.
            "cursor" if self.name == "03-last" => json!("0-0"),
            "cursor" => json!(self.head.to_string()),
            "id" => {
                let record = self.records.pop_front();
                json!(record.unwrap_or(self.head).to_string())
            }
            "data" => json!("any"),
            "error" => json!("a sentence"),
            other => panic!("{}: nothing is known of `{other}`, <{name}>", self.name),
        }
    }
}

fn name_in(text: &str) -> Option<&str> {
    text.strip_prefix('<')?.strip_suffix('>')
}
