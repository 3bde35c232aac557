//! A process is killed again and again; what it had acknowledged is compared with what is on disk.
//!
//! The process is this test binary, started again for [`the_process_that_is_killed`] alone. It prints a line for each thing that it knows to be
//! true: a step's closure was called, its result came back, a durable publish came back, a run ended.
//!
//! `STEPCAST_KILLS=1000` makes it long.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::prelude::*;
use stepcast::{Cursor, RunStatus};

const FILE: &str = "STEPCAST_KILLED_FILE";
const FIRST: &str = "STEPCAST_KILLED_FIRST";
const KILLS: &str = "STEPCAST_KILLS";
const PER_LIFE: u64 = 10_000;

#[derive(Event, Serialize, Deserialize)]
#[event("kill/work")]
struct Work {
    n: u64,
}

#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("kill")]
enum Log {
    /// Durable.
    #[topic(messages = 10_000_000, bytes = 10_000_000_000)]
    Done { n: u64 },
    /// Published inside a step: taken back when the process dies in it.
    #[topic(messages = 10_000_000, bytes = 10_000_000_000)]
    Noise { n: u64 },
    /// Published between steps: by one execution of the function, however many there are.
    #[topic(messages = 10_000_000, bytes = 10_000_000_000)]
    Between { n: u64 },
}

/// Says it in one write, so that a kill leaves no half a line that reads as another.
fn say(what: &str, n: u64) {
    use std::io::Write;
    let line = format!("\n!{what} {n}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .unwrap();
}

async fn work(ctx: Ctx<Work>) -> Result<(), Error> {
    let (n, log) = (ctx.event.n, Log::at());
    ctx.step("first")
        .run(|| async {
            say("ran-first", n);
            ctx.publish(&log, Log::Noise { n }).await
        })
        .await?;
    say("has-first", n);
    ctx.publish(&log, Log::Between { n }).await?;
    ctx.step("publish").publish(&log, Log::Done { n }).await?;
    say("published", n);
    ctx.step("last")
        .run(|| async {
            say("ran-last", n);
            Ok(())
        })
        .await?;
    say("has-last", n);
    Ok(())
}

async fn open(file: &Path) -> Stepcast {
    let app = App::new("kill")
        .channel::<Log>()
        .function(function("work", work));
    Stepcast::open(file, app).await.unwrap()
}

/// Not a test of its own: does nothing unless the test below has started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_is_killed() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let stepcast = open(Path::new(&file)).await;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..8 {
        let stepcast = stepcast.clone();
        senders.spawn(async move {
            for n in (first + sender..first + PER_LIFE).step_by(8) {
                let run = stepcast
                    .send(Work { n })
                    .await
                    .unwrap()
                    .run()
                    .await
                    .unwrap();
                say("accepted", n);
                assert_eq!(run.end().await.unwrap().status, RunStatus::Completed);
                say("ended", n);
            }
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
}

struct Life(Child);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().unwrap();
    }
}

/// One life: what it said until `lines` lines had come and it was killed.
fn live_and_die(file: &Path, life: u64, lines: usize) -> Vec<(String, u64)> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::the_process_that_is_killed", "--exact", "--nocapture"])
        .env(FILE, file)
        .env(FIRST, (life * PER_LIFE).to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut life = Life(child);
    let mut said = Vec::new();
    for line in BufReader::new(life.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((what, n)) = line.strip_prefix('!').and_then(|said| said.split_once(' ')) else {
            continue;
        };
        said.push((what.to_owned(), n.parse().unwrap()));
        if said.len() == lines {
            // What it says between here and its death is read as well: the pipe keeps it.
            life.0.kill().unwrap();
        }
    }
    assert!(
        said.len() >= lines,
        "the process ended by itself after {} lines",
        said.len()
    );
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills() {
    let seed =
        std::env::var("SEED").map_or_else(|_| rand::random::<u64>(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let kills = std::env::var(KILLS).map_or(50, |kills| kills.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kill.db");
    let mut said = Vec::new();
    for life in 0..kills {
        said.extend(live_and_die(&file, life, rng.random_range(1..400)));
    }

    let counts = said
        .iter()
        .fold(BTreeMap::<&str, u64>::new(), |mut counts, (what, _)| {
            *counts.entry(what).or_default() += 1;
            counts
        });
    for step in ["first", "last"] {
        let (ran, has) = (format!("ran-{step}"), format!("has-{step}"));
        let mut committed = BTreeSet::new();
        for (what, n) in &said {
            if *what == has {
                committed.insert(n);
            }
            assert!(
                *what != ran || !committed.contains(n),
                "step `{step}` of {n} ran again after its result was committed"
            );
        }
    }

    let stepcast = open(&file).await;
    let ends = all_ends(&stepcast).await;
    let log = all_messages(&stepcast).await;
    let count = |pick: fn(&Log) -> Option<u64>| {
        let mut times = BTreeMap::<u64, u64>::new();
        for n in log.iter().filter_map(|(_, message)| pick(message)) {
            *times.entry(n).or_default() += 1;
        }
        assert!(
            times.values().all(|times| *times == 1),
            "a message stands twice: {times:?}"
        );
        times
    };
    let done = count(|message| match message {
        Log::Done { n } => Some(*n),
        Log::Noise { .. } | Log::Between { .. } => None,
    });
    let noise = count(|message| match message {
        Log::Noise { n } => Some(*n),
        Log::Done { .. } | Log::Between { .. } => None,
    });
    let between = count(|message| match message {
        Log::Between { n } => Some(*n),
        Log::Done { .. } | Log::Noise { .. } => None,
    });
    for n in done.keys() {
        assert!(
            noise.contains_key(n),
            "what the first step of {n} said is gone"
        );
        assert!(between.contains_key(n), "what the body of {n} said is gone");
    }
    for (what, n) in &said {
        if what == "published" || what == "ended" {
            assert!(
                done.contains_key(n),
                "message {n} was acknowledged and is not in the log"
            );
        }
    }
    assert!(
        log.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "cursors grow and never repeat"
    );
    let Ends {
        completed,
        given_up,
    } = ends;
    assert!(
        (completed..=completed + given_up).contains(&done.len()),
        "each completed run has published once"
    );
    println!(
        "{kills} kills, said: {counts:?}, runs completed: {completed}, given up after five crashes without progress: {given_up}, \
         messages in the log: {}",
        log.len()
    );
    stepcast.shutdown().await.unwrap();
}

/// How the runs ended.
#[derive(Default)]
struct Ends {
    completed: usize,
    /// Killed five times in a row before they got any further, which the engine ends by its rules.
    given_up: usize,
}

/// Waits until every run has ended, however often it was taken up.
async fn all_ends(stepcast: &Stepcast) -> Ends {
    let (mut before, mut ends) = (None, Ends::default());
    loop {
        let page = stepcast.engine().runs(before, 100).await.unwrap();
        let Some(last) = page.last() else { return ends };
        before = Some(last.run_id);
        for run in &page {
            let end = stepcast.run(run.run_id).end().await.unwrap();
            match (end.status, end.error) {
                (RunStatus::Completed, None) => ends.completed += 1,
                (RunStatus::Failed, Some(error)) if error.code == "crashed_repeatedly" => {
                    ends.given_up += 1
                }
                other => panic!("run {} ended as {other:?}", run.run_id),
            }
        }
    }
}

/// All of the log, up to a message that is published now.
async fn all_messages(stepcast: &Stepcast) -> Vec<(Cursor, Log)> {
    let last = stepcast
        .publish(&Log::at(), Log::Noise { n: u32::MAX.into() })
        .durable()
        .await
        .unwrap();
    let mut messages = stepcast.subscribe(&Log::at()).messages();
    let mut log = Vec::new();
    while let Some(message) = messages.try_next().await.unwrap() {
        log.push((message.cursor, message.data));
        if message.cursor == last {
            break;
        }
    }
    log
}
