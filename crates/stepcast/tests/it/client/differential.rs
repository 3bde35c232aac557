//! One history, by chance, and three readers: a client that was there from the beginning, through the end of its server and the end of
//! its sessions; a client that comes at the end; and one in the process. All come to hold the same.

use std::{
    future::IntoFuture,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::{Client, Error, Position, Retry, prelude::*};

use super::{holder::Holding, lives::Lives};
use crate::support::within;

#[derive(Debug, Clone, Channel, Serialize, Deserialize, JsonSchema)]
#[channel("feed:{name}")]
enum Feed {
    Log {
        n: u64,
    },
    #[topic(keep = "latest")]
    Status {
        n: u64,
    },
    #[topic(keep = "text", text = "s")]
    Text {
        s: String,
    },
}

/// One thing that a step says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Say {
    Log(u64),
    Status(u64),
    Text(u64),
}

impl Say {
    fn by_chance(chance: &mut StdRng, n: u64) -> Self {
        match chance.random_range(0..3) {
            0 => Self::Log(n),
            1 => Self::Status(n),
            _ => Self::Text(n),
        }
    }

    fn message(self) -> Feed {
        match self {
            Self::Log(n) => Feed::Log { n },
            Self::Status(n) => Feed::Status { n },
            Self::Text(n) => Feed::Text { s: format!("{n} ") },
        }
    }
}

/// A run that says these things in one step, which fails at first so often.
#[derive(Event, Serialize, Deserialize)]
#[event("it/say")]
struct Plan {
    name: String,
    says: Vec<Say>,
    fails: usize,
}

/// How often each run's step has failed. It is of the test, and knows nothing of lives.
type Failures = Arc<Mutex<std::collections::HashMap<String, usize>>>;

async fn says(ctx: Ctx<Plan>, failures: Failures) -> Result<(), Error> {
    let Plan { name, says, fails } = &ctx.event;
    let feed = Feed::at(name);
    ctx.step("say")
        .run(|| async {
            for say in says {
                ctx.publish(&feed, say.message()).await?;
            }
            let mut failures = failures.lock().unwrap();
            let failed = failures.entry(format!("{says:?}")).or_default();
            if *failed < *fails {
                *failed += 1;
                return Err(Error::msg("by plan"));
            }
            Ok(())
        })
        .await
}

fn app(failures: &Failures) -> App {
    let failures = Arc::clone(failures);
    let retry = Retry::times(3).with_base(Duration::from_millis(1));
    let says = function("says", move |ctx| says(ctx, Arc::clone(&failures))).retry(retry);
    App::new("differential").channel::<Feed>().function(says)
}

/// What goes on, until somebody stops it.
struct History {
    chance: StdRng,
    n: u64,
}

impl History {
    async fn go_on(&mut self, client: &Client, turns: usize) {
        let feed = Feed::at("f");
        for _ in 0..turns {
            self.n += 1;
            if self.chance.random_ratio(1, 4) {
                self.run(client).await;
                continue;
            }
            let message = Say::by_chance(&mut self.chance, self.n).message();
            let publish = client.publish(&feed, message);
            let publish = if self.chance.random() {
                publish.durable()
            } else {
                publish
            };
            within(publish.into_future()).await.unwrap();
        }
    }

    async fn run(&mut self, client: &Client) {
        let count = self.chance.random_range(1..5);
        let says = (0..count).map(|_| {
            self.n += 1;
            Say::by_chance(&mut self.chance, self.n)
        });
        let plan = Plan {
            name: "f".to_owned(),
            says: says.collect(),
            fails: self.chance.random_range(0..3),
        };
        let sent = within(client.send(plan).into_future()).await.unwrap();
        let run = sent.run().await.unwrap();
        if self.chance.random() {
            within(run.end()).await.unwrap();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Restart {
    Clean,
    Crash,
}

async fn play(seed: u64, restart: Restart) {
    let failures = Failures::default();
    let mut lives = Lives::of(move || app(&failures)).await;
    let client = lives.client();
    let feed = Feed::at("f");
    let minted = Arc::new(AtomicUsize::new(0));
    let (minter, count) = (client.clone(), Arc::clone(&minted));
    let token = move || {
        count.fetch_add(1, Ordering::Relaxed);
        let token = minter.token(&Feed::at("f")).session(Duration::from_secs(1));
        token.into_future()
    };
    let updates = client
        .subscribe_with_token(&feed, token)
        .from(Position::Start);
    let mut through = Holding::of(within(updates.opened()).await.unwrap());
    let mut history = History {
        chance: StdRng::seed_from_u64(seed),
        n: 0,
    };

    history.go_on(&client, 40).await;
    match restart {
        Restart::Clean => lives.end().await,
        Restart::Crash => lives.crash().await,
    }
    lives.begin().await;
    history.go_on(&client, 40).await;
    // One token for each connection, and at least one on top of them.
    let tokens = minted.load(Ordering::Relaxed);
    let refreshed = async {
        while minted.load(Ordering::Relaxed) <= tokens {
            history.go_on(&client, 1).await;
        }
    };
    within(refreshed).await;
    history.go_on(&client, 5).await;

    // Runs that nobody waited for have ended before the mark.
    let page = lives.stepcast().engine().runs(None, 1_000).await.unwrap();
    for run in page {
        within(client.run(run.run_id).end()).await.unwrap();
    }
    let mark = client
        .publish(&feed, Feed::Log { n: u32::MAX.into() })
        .durable();
    let mark = within(mark.into_future()).await.unwrap();
    let through = through.until(|holder| holder.last == mark).await;
    let mut late = Holding::of(client.subscribe(&feed));
    let late = late.until(|holder| holder.last == mark).await;
    let mut embedded = Holding::of(lives.stepcast().subscribe(&feed));
    let embedded = embedded.until(|holder| holder.last == mark).await;
    let place = format!("seed {seed}, {restart:?}");
    assert_eq!(late.joined(), embedded.joined(), "{place}");
    assert_eq!(through.joined(), embedded.joined(), "{place}");
    if restart == Restart::Crash {
        assert!(through.gaps > 0, "{place}: it is told of the crash");
    } else {
        assert_eq!(
            through.gaps, 0,
            "{place}: nothing is lost in a clean restart"
        );
    }
    assert!(through.rollbacks > 0, "{place}: some attempts fail");
    lives.end().await;
}

#[tokio::test]
async fn a_client_and_a_reader_in_the_process_come_to_hold_the_same() {
    // At once, as a server that ends in order asks its clients to stay away for up to 5 s.
    tokio::join!(
        play(0, Restart::Clean),
        play(1, Restart::Clean),
        play(2, Restart::Clean)
    );
}

#[tokio::test]
async fn they_do_so_after_a_crash() {
    for seed in 10..13 {
        play(seed, Restart::Crash).await;
    }
}
