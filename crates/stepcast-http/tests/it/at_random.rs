//! A client that goes, comes back, lags and changes its mind, while runs fail and the server restarts: it ends with what a late reader
//! gets. The seed of a failure is in its message.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use stepcast_engine::runs::LeasedRun;
use stepcast_protocol::Keep;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    clients::Socket,
    model::Model,
    server::{TestServer, text},
    slow::narrow,
};

const TOPICS: [&str; 3] = ["log", "status", "tokens"];
const SEEDS: u64 = 16;
const ACTIONS: usize = 120;

/// Numbers that look like chance (Knuth's MMIX generator).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct World {
    server: TestServer,
    chance: Chance,
    token: String,
    socket: Option<Socket>,
    model: Model,
    run: Option<LeasedRun>,
    published: u64,
}

#[tokio::test]
async fn a_client_that_keeps_what_it_is_told_holds_what_a_late_reader_gets() {
    for seed in 0..SEEDS {
        let server = TestServer::start().await;
        server.declare(
            "c",
            vec![
                ("tokens", text()),
                ("status", Keep::Latest),
                ("log", Keep::Log),
            ],
        );
        let token = server.token("c", &TOPICS).await;
        let mut world = World {
            server,
            chance: Chance(seed),
            token,
            socket: None,
            model: Model::default(),
            run: None,
            published: 0,
        };
        world.connect("").await;
        for _ in 0..ACTIONS {
            world = world.act().await;
        }
        world.settle(seed).await;
    }
}

impl World {
    async fn act(mut self) -> Self {
        match self.chance.below(40) {
            0 => self.socket = None,
            1 => self = self.restart().await,
            2 | 3 => self.fail().await,
            4 => self.change_topics().await,
            5 => self.reopen().await,
            6..=11 => self.read_some(),
            12..=15 => self.come_back().await,
            16..=24 => self.say().await,
            _ => self.publish().await,
        }
        self
    }

    fn payload(&mut self, topic: &str) -> String {
        self.published += 1;
        // Now and then enough that a snapshot is cheaper than what was missed.
        let size = [1, 1, 10, 10_000][usize::try_from(self.chance.below(4)).expect("small")];
        let said = format!("{} {}", self.published, "x".repeat(size));
        match topic {
            "tokens" => json!({ "token": said }).to_string(),
            _ => json!(said).to_string(),
        }
    }

    fn topic(&mut self) -> &'static str {
        TOPICS[usize::try_from(self.chance.below(3)).expect("small")]
    }

    async fn publish(&mut self) {
        let topic = self.topic();
        let payload = self.payload(topic);
        self.server.publish("c", topic, payload).await;
    }

    async fn say(&mut self) {
        let topic = self.topic();
        let payload = self.payload(topic);
        let run = match self.run.take() {
            Some(run) => run,
            None => self.server.run().await,
        };
        // A run of an earlier life comes with the attempts it has used up.
        let used: u32 = run.steps.iter().map(|step| step.attempts).sum();
        let spoken = ("c", topic);
        self.server.say(&run, used + 1, spoken, payload).await;
        self.run = Some(run);
    }

    /// The messages of the attempt become void.
    async fn fail(&mut self) {
        let Some(run) = self.run.take() else {
            return;
        };
        let before = self.server.visible("c").await;
        TestServer::fail(&run);
        self.server
            .until(async |server| server.visible("c").await > before)
            .await;
    }

    async fn connect(&mut self, from: &str) {
        let query = format!("{}&v=1{from}", self.token);
        self.socket = Some(if self.chance.below(2) == 0 {
            self.server.connect(&query).await
        } else {
            let stream = narrow(&self.server).await;
            self.server.connect_on(stream, &query).await
        });
    }

    async fn come_back(&mut self) {
        if self.socket.is_none() {
            let from = format!("&from={}", self.model.cursor());
            self.connect(&from).await;
        }
    }

    async fn restart(mut self) -> Self {
        (self.socket, self.run) = (None, None);
        self.server = self.server.restart().await;
        self
    }

    /// The store fails in the middle: a new life in the same process, which may lack the last messages.
    async fn reopen(&mut self) {
        self.run = None;
        self.server.reopen().await;
    }

    async fn change_topics(&mut self) {
        let topic = self.topic();
        // What the client does not know yet it cannot change.
        if self.socket.is_none() || !self.model.told.contains_key("hello") {
            return;
        }
        let token = self.token.clone();
        self.send(json!({ "kind": "unsub", "channel": "c", "topics": [topic] }))
            .await;
        self.send(json!({ "kind": "sub", "token": token, "topics": [topic], "from": "start" }))
            .await;
    }

    /// Reads to the answer, as a client that waits for it does.
    async fn send(&mut self, frame: Value) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        socket.send(frame).await;
        loop {
            let frame = socket.next().await;
            assert_ne!(frame["kind"], "error", "{frame}");
            self.model.on_frame(&frame);
            if matches!(frame["kind"].as_str(), Some("unsubscribed" | "subscribed")) {
                return;
            }
        }
    }

    fn read_some(&mut self) {
        use futures_util::StreamExt;
        let count = self.chance.below(20);
        let Some(socket) = &mut self.socket else {
            return;
        };
        for _ in 0..count {
            match socket.0.next().now_or_never() {
                Some(Some(Ok(Message::Text(text)))) => {
                    let frame = serde_json::from_str(&text).expect("a frame is JSON");
                    self.model.on_frame(&frame);
                }
                Some(Some(Ok(_))) => {}
                Some(other) => panic!("{other:?}"),
                None => return,
            }
        }
    }

    /// Reads until the client holds what a late reader gets.
    async fn settle(mut self, seed: u64) {
        self.come_back().await;
        let late = self.server.native(&self.token, "&from=start").await;
        let (mut late, mut begun) = (late, Model::default());
        let end = self.server.publish("c", "log", "\"end\"").await;
        let mut socket = self.socket.take().expect("it has come back");
        let mut model = self.model;
        let is_same = |model: &Model, begun: &Model| {
            let mut topics = TOPICS.iter();
            model.cursor().min(begun.cursor()) >= end
                && topics.all(|topic| shown(model, topic) == shown(begun, topic))
        };
        // Attempts that a restart has cut off are taken back from both, at some time after it.
        let followed = tokio::time::timeout(Duration::from_secs(10), async {
            while !is_same(&model, &begun) {
                tokio::select! {
                    frame = socket.next() => model.on_frame(&frame),
                    frame = late.next() => begun.on_frame(&frame),
                }
            }
        });
        if followed.await.is_err() {
            let all = |of: &Model| TOPICS.map(|topic| shown(of, topic));
            assert_eq!(all(&model), all(&begun), "seed {seed}: {:?}", model.told);
            panic!("seed {seed}: {} is not at {end}", model.cursor());
        }
        assert!(self.published > 40, "seed {seed} has published little");
    }
}

/// What a client shows of a topic, without what only makes it long: a text is the same in one piece and in many.
fn shown(model: &Model, topic: &str) -> Vec<String> {
    let data = match topic {
        "tokens" => vec![json!(model.text(topic))],
        "status" => model.data(topic).into_iter().rev().take(1).collect(),
        _ => model.data(topic),
    };
    let short = data.iter().map(|data| data.to_string().replace('x', ""));
    short.collect()
}
