//! User code that blocks its thread, and a process that is stopped for a while.
//!
//! The process is this test binary, started again for [`the_process_that_is_stopped`] alone. It prints a line for each thing that happens in it.

use std::{
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use stepcast::{App, Ctx, Error, Position, Stepcast, function};

use crate::support::{Chat, HOUR, Start, World, recorded, within};

const FILE: &str = "STEPCAST_STOPPED_FILE";
const SLEEP: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(30);

/// Holds its thread until it is so.
fn block_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to be");
        thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_blocks_its_thread_stops_no_other_run_timer_or_reader() {
    let world = World::of(|ctx, log| async move {
        match ctx.event.n {
            0 => {
                let block = || async {
                    log.say("blocks");
                    block_until(|| log.count("let go") > 0);
                    Ok(())
                };
                ctx.step("block").run(block).await
            }
            1 => recorded(&ctx, &log, ctx.step("sleep").sleep(HOUR)).await,
            n => {
                let said = Chat::said(format!("from {n}"));
                ctx.step("tell").publish(&Chat::at("room"), said).await
            }
        }
    })
    .await;
    let sleeping = world.start_nth(1).await;
    world.log.until("recorded").await;
    let blocked = world.start_nth(0).await;
    world.log.until("blocks").await;

    let mut reader = world
        .subscribe(&Chat::at("room"))
        .from(Position::Start)
        .messages();
    let other = world.start_nth(2).await;
    let message = within(reader.try_next()).await.unwrap().unwrap();
    assert_eq!(message.data, Chat::said("from 2"));
    world.result::<()>(other).await.unwrap();
    world.clock.advance(HOUR);
    world.result::<()>(sleeping).await.unwrap();

    assert_eq!(world.log.count("let go"), 0);
    world.log.say("let go");
    world.result::<()>(blocked).await.unwrap();
}

/// Says it in one write, so that no line is cut in two.
fn say(what: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let line = format!("\n!{what}\n");
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .unwrap();
}

/// A step executes and a timer runs while the process is stopped.
async fn stopped(ctx: Ctx<Start>) -> Result<u32, Error> {
    let file = std::env::var(FILE)?;
    let executes = ctx.step("executes").run(|| async {
        say("executes");
        while !Path::new(&file).with_extension("resumed").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Refused if the lease was lost.
        ctx.publish(&Chat::at("room"), Chat::said("goes on")).await
    });
    let sleep = async {
        let slept = ctx.step("sleep").sleep(SLEEP).await;
        say("slept");
        slept
    };
    tokio::try_join!(executes, sleep)?;
    Ok(ctx.attempt())
}

/// Not a test of its own: does nothing unless the test below has started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_is_stopped() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let app = App::new("it").function(function("main", stopped));
    let stepcast = Stepcast::open(file, app).await.unwrap();
    let run = stepcast
        .send(Start { n: 0 })
        .await
        .unwrap()
        .run()
        .await
        .unwrap();
    let attempt: u32 = run.result().await.unwrap();
    say(&format!("ended in attempt {attempt}"));
    stepcast.shutdown().await.unwrap();
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(file: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "standstill::the_process_that_is_stopped",
                "--exact",
                "--nocapture",
            ])
            .env(FILE, file)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it says next; nothing once it has ended.
    fn next(&mut self) -> Option<String> {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        lines.find_map(|line| line.strip_prefix('!').map(str::to_owned))
    }

    fn signal(&self, signal: &str) {
        let command = format!("kill -{signal} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &command])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_process_that_was_stopped_for_a_while_loses_no_lease_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stopped.db");
    let mut process = Process::start(&file);
    assert_eq!(process.next().as_deref(), Some("executes"));
    process.signal("STOP");
    let stopped = Instant::now();
    block_until(|| stopped.elapsed() > 2 * SLEEP);
    std::fs::write(file.with_extension("resumed"), "").unwrap();
    process.signal("CONT");
    let said: Vec<_> = std::iter::from_fn(|| process.next()).collect();
    assert_eq!(
        said,
        ["slept", "ended in attempt 1"],
        "the step executed once"
    );
}
