//! One database through several lives of the engine, a log of what its functions do, and a clock that only the test moves.

use std::{
    fmt::Display,
    future::{Future, IntoFuture},
    ops::Deref,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use stepcast::prelude::*;
use stepcast::{
    Clock, Durability, EngineOptions, Function, Message, Options, RunId, SqliteOptions, Timestamp,
    channel::ChannelAt,
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch};

/// How long a test waits for a fact before it fails.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// Starts the function `main`.
#[derive(Debug, Event, Serialize, Deserialize)]
#[event("it/start")]
pub(crate) struct Start {
    pub(crate) n: u64,
}

/// What functions wait for.
#[derive(Debug, PartialEq, Event, Serialize, Deserialize)]
#[event("it/go")]
pub(crate) struct Go {
    pub(crate) n: u64,
}

#[derive(Debug, Clone, PartialEq, Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat:{room}")]
pub(crate) enum Chat {
    Said {
        text: String,
    },
    Progress {
        #[schemars(range(max = 100))]
        percent: u8,
    },
    #[topic(unchecked)]
    Number {
        n: u64,
    },
}

impl Chat {
    pub(crate) fn said(text: impl Into<String>) -> Self {
        Self::Said { text: text.into() }
    }
}

/// What was said, in order. Functions and tests say and wait for lines alike.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<watch::Sender<Vec<String>>>);

impl Log {
    pub(crate) fn say(&self, line: impl Display) {
        self.0.send_modify(|lines| lines.push(line.to_string()));
    }

    /// Says it, and how often it has been said.
    pub(crate) fn count_up(&self, line: &str) -> usize {
        self.say(line);
        self.count(line)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.0.borrow().iter().filter(|said| *said == line).count()
    }

    /// Waits until it has been said.
    pub(crate) async fn until(&self, line: impl Display) {
        self.until_times(1, line).await;
    }

    /// Waits until it has been said so often.
    pub(crate) async fn until_times(&self, times: usize, line: impl Display) {
        let line = line.to_string();
        let is_said =
            |lines: &Vec<String>| lines.iter().filter(|said| **said == line).count() >= times;
        let mut said = self.0.subscribe();
        if tokio::time::timeout(DEADLINE, said.wait_for(is_said))
            .await
            .is_err()
        {
            panic!(
                "`{line}` was never said {times} times, but {:?}",
                self.lines()
            );
        }
    }
}

/// Says `dropped` when it is.
pub(crate) struct SaysWhenDropped<'a>(pub(crate) &'a Log);

impl Drop for SaysWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.say("dropped");
    }
}

/// An engine on a file of its own.
pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) clock: Clock,
    directory: TempDir,
    name: &'static str,
    options: Box<dyn Fn(Clock) -> Options + Send + Sync>,
    app: Box<dyn Fn(&Log) -> App + Send + Sync>,
    stepcast: Option<Stepcast>,
}

impl World {
    /// With one function, `main`.
    pub(crate) async fn of<T, F, Fut>(body: F) -> Self
    where
        T: Serialize + Send + 'static,
        F: Fn(Ctx<Start>, Log) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<T, Error>> + Send + 'static,
    {
        Self::with(options, only(body)).await
    }

    pub(crate) async fn with(
        options: impl Fn(Clock) -> Options + Send + Sync + 'static,
        app: impl Fn(&Log) -> App + Send + Sync + 'static,
    ) -> Self {
        let mut world = Self {
            log: Log::default(),
            clock: Clock::manual(Timestamp::from_millis(1_800_000_000_000)),
            directory: tempfile::tempdir().unwrap(),
            name: "it.db",
            options: Box::new(options),
            app: Box::new(app),
            stepcast: None,
        };
        world.open().await;
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path(self.name)
    }

    pub(crate) async fn open(&mut self) {
        let stepcast =
            within((self.options)(self.clock.clone()).open(self.file(), (self.app)(&self.log)));
        self.stepcast = Some(stepcast.await.unwrap());
    }

    pub(crate) async fn shut_down(&mut self) {
        let stepcast = self.stepcast.take().unwrap();
        within(stepcast.shutdown()).await.unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.shut_down().await;
        self.open().await;
    }

    /// Restarts with another function `main`.
    pub(crate) async fn restart_as<T, F, Fut>(&mut self, body: F)
    where
        T: Serialize + Send + 'static,
        F: Fn(Ctx<Start>, Log) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.app = Box::new(only(body));
        self.restart().await;
    }

    /// Restarts on another file of the directory.
    pub(crate) async fn restart_on(&mut self, name: &'static str) {
        self.shut_down().await;
        self.name = name;
        self.open().await;
    }

    /// Restarts with other options, without waiting for what executes.
    pub(crate) async fn restart_with(
        &mut self,
        options: impl Fn(Clock) -> Options + Send + Sync + 'static,
    ) {
        self.close(std::future::ready(())).await;
        self.options = Box::new(options);
        self.open().await;
    }

    pub(crate) async fn close(&mut self, patience: impl Future<Output = ()> + Send) {
        let stepcast = self.stepcast.take().unwrap();
        within(stepcast.engine().close(patience)).await.unwrap();
    }

    /// Ends the engine as a crash would: its runtime is gone from one moment to the next, and nothing is given back.
    pub(crate) fn crash(&mut self, runtime: Runtime) {
        self.stepcast = None;
        drop(runtime);
    }

    /// Starts a run of `main`.
    pub(crate) async fn start(&self) -> RunId {
        self.start_nth(0).await
    }

    pub(crate) async fn start_nth(&self, n: u64) -> RunId {
        let sent = within(self.send(Start { n }).into_future()).await.unwrap();
        sent.run().await.unwrap().id()
    }

    pub(crate) async fn result<T: DeserializeOwned>(&self, run: RunId) -> Result<T, Error> {
        within(self.run(run).result()).await
    }

    /// How a run failed: code and sentence.
    pub(crate) async fn failure(&self, run: RunId) -> (String, String) {
        let view = within(self.run(run).end()).await.unwrap();
        let error = view
            .error
            .unwrap_or_else(|| panic!("the run gave {:?}", view.output));
        (error.code, error.message)
    }

    /// Waits until it is so, moving the clock by `by` before each look.
    pub(crate) async fn advance_until(&self, by: Duration, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                self.clock.advance(by);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within(wait).await;
    }

    /// All messages of a channel, up to one that is published now.
    pub(crate) async fn messages(&self, channel: &ChannelAt<Chat>) -> Vec<Message<Chat>> {
        let last = self
            .publish(channel, Chat::Number { n: u64::MAX })
            .durable()
            .await
            .unwrap();
        let (mut reader, mut messages) = (self.subscribe(channel).messages(), Vec::new());
        loop {
            let message = within(reader.try_next()).await.unwrap().unwrap();
            if message.cursor == last {
                return messages;
            }
            messages.push(message);
        }
    }
}

impl Deref for World {
    type Target = Stepcast;

    fn deref(&self) -> &Stepcast {
        self.stepcast.as_ref().expect("the engine is open")
    }
}

/// Options on this clock, for files that need not survive a loss of power.
pub(crate) fn options(clock: Clock) -> Options {
    Stepcast::options()
        .with_engine(EngineOptions::default().with_clock(clock))
        .with_store(store())
}

pub(crate) fn store() -> SqliteOptions {
    SqliteOptions::new().with_durability(Durability::Process)
}

/// A function that is given the log.
pub(crate) fn serve<E, T, F, Fut>(id: &str, log: &Log, body: F) -> Function
where
    E: Event,
    T: Serialize + Send + 'static,
    F: Fn(Ctx<E>, Log) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, Error>> + Send + 'static,
{
    let log = log.clone();
    function(id, move |ctx| body(ctx, log.clone()))
}

pub(crate) fn only<T, F, Fut>(body: F) -> impl Fn(&Log) -> App + Send + Sync + 'static
where
    T: Serialize + Send + 'static,
    F: Fn(Ctx<Start>, Log) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<T, Error>> + Send + 'static,
{
    move |log| App::new("it").function(serve("main", log, body.clone()))
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it happens in time")
}

/// Awaits `wait`, and says `recorded` once it is on disk: a step that began after it has ended, and commits keep the order.
pub(crate) async fn recorded<W: IntoFuture, E>(ctx: &Ctx<E>, log: &Log, wait: W) -> W::Output {
    let mark = async {
        ctx.step("mark").run(|| async { Ok(()) }).await.unwrap();
        log.say("recorded");
    };
    tokio::join!(wait.into_future(), mark).0
}
