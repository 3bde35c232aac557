//! A program whose functions are the test: it is handed every run that is leased, and reports what it likes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use stepcast_engine::{
    Engine, EngineError, EngineOptions,
    clock::Clock,
    hub::{Draft, Outgoing},
    runs::{Awaited, Failure, FunctionConfig, LeasedRun, RunLease, StepKey, Update, Worker},
    store::{
        Outcome, RunQuery, StepState, Store, StoredRun, Verb,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use stepcast_protocol::{
    Cursor, ErrorCode, EventName, FunctionId, Keep, Origin, RunError, RunId, RunStatus, RunView,
    StepId, TopicName,
    event::{CheckedEvent, Extras},
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::support::{
    Database, channel_name, gated::GatedStore, numbered, outgoing, still_clock, within,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// What outlives a process: the database, the time, and the program, whose functions `f` and `g` are started by events of their names.
pub(super) struct World {
    pub(super) database: Arc<Database>,
    pub(super) clock: Clock,
    pub(super) functions: Vec<FunctionConfig>,
    pub(super) options: EngineOptions,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(SqliteOptions::new())
    }

    pub(super) fn with(options: SqliteOptions) -> Self {
        let clock = still_clock();
        Self {
            database: Arc::new(Database::with(options)),
            functions: ["f", "g"].map(function).into(),
            options: EngineOptions::default().with_clock(clock.clone()),
            clock,
        }
    }

    /// A process starts.
    pub(super) async fn open(&self) -> Life {
        self.open_over(self.database.open().await).await
    }

    /// The same, over a store that is open already.
    pub(super) async fn open_over(&self, sqlite: Arc<SqliteStore>) -> Life {
        let gate = GatedStore::new(Arc::<SqliteStore>::clone(&sqlite));
        let (handed, started) = mpsc::unbounded_channel();
        let opening = within(Engine::open(
            Arc::<GatedStore>::clone(&gate),
            self.functions.clone(),
            Arc::new(Script(handed)),
            self.options.clone(),
        ));
        let engine = opening.await.unwrap();
        gate.is_kept_house().await;
        Life {
            engine,
            sqlite,
            gate,
            started,
            _database: Arc::clone(&self.database),
        }
    }
}

pub(super) fn function(name: &str) -> FunctionConfig {
    let id = FunctionId::parse(name).unwrap();
    FunctionConfig::new(id, vec![EventName::parse(name).unwrap()])
}

struct Script(mpsc::UnboundedSender<LeasedRun>);

impl Worker for Script {
    fn start(&self, run: LeasedRun) {
        // A test that is over takes no more runs.
        self.0.send(run).ok();
    }
}

/// One process.
pub(super) struct Life {
    pub(super) engine: Engine,
    pub(super) sqlite: Arc<SqliteStore>,
    pub(super) gate: Arc<GatedStore>,
    started: mpsc::UnboundedReceiver<LeasedRun>,
    /// The file stays as long as somebody works with it.
    _database: Arc<Database>,
}

impl Life {
    /// Sends an event, and says which run it started.
    pub(super) async fn send(&self, name: &str) -> RunId {
        let sent = within(self.engine.send(vec![event(name)], None)).await;
        sent.unwrap()[0].runs[0]
    }

    /// Sends an event that starts nothing, with a number in it.
    pub(super) async fn tell(&self, name: &str, n: u64) {
        let told = within(self.engine.send(vec![numbered_event(name, n)], None)).await;
        assert_eq!(told.unwrap()[0].runs, []);
    }

    /// Sends it in a task of its own and waits until its commit is kept back.
    pub(super) async fn tell_gated(&self, name: &str, n: u64) {
        let (engine, told) = (self.engine.clone(), numbered_event(name, n));
        let before = self.gate.kept_back();
        tokio::spawn(async move { engine.send(vec![told], None).await });
        self.gate.keeps_back(before + 1).await;
    }

    /// Starts a run of `f` and takes it.
    pub(super) async fn start(&mut self) -> Held {
        let id = self.send("f").await;
        let held = self.next().await;
        assert_eq!(held.run.id, id);
        held
    }

    /// The next run that is leased.
    pub(super) async fn next(&mut self) -> Held {
        let run = within(self.started.recv()).await;
        Held {
            run: run.expect("the engine has the worker"),
        }
    }

    /// Whether a run was leased that nobody has taken yet.
    pub(super) fn has_started(&self) -> bool {
        !self.started.is_empty()
    }

    pub(super) async fn end_of(&self, id: RunId) -> RunView {
        within(self.engine.end_of(id)).await.unwrap()
    }

    pub(super) async fn status(&self, id: RunId) -> RunStatus {
        self.engine.run(id).await.unwrap().unwrap().status
    }

    /// The run as it is on disk.
    pub(super) async fn stored(&self, id: RunId) -> StoredRun {
        self.sqlite.run(id).await.unwrap().unwrap()
    }

    /// The steps of a run that are on disk.
    pub(super) async fn steps(&self, id: RunId) -> Vec<String> {
        let run = self.stored(id).await;
        run.steps.iter().map(|row| row.step.to_string()).collect()
    }

    /// No run is left with something that would happen to it.
    pub(super) async fn has_no_timers(&self) {
        assert_eq!(self.sqlite.timers(None, 10).await.unwrap(), []);
    }

    pub(super) async fn newest_runs(&self) -> usize {
        let all = self.sqlite.runs(RunQuery::Newest(None, 1_000)).await;
        all.unwrap().len()
    }

    /// The n-th message for a channel.
    pub(super) async fn outgoing(&self, channel: &str, n: u64) -> Outgoing {
        let channel = within(self.engine.hub().channel(&channel_name(channel))).await;
        outgoing(&channel.unwrap(), numbered(n))
    }

    /// Asks for the end of a run in a task of its own.
    pub(super) fn cancels(&self, id: RunId) -> JoinHandle<Result<(), EngineError>> {
        let engine = self.engine.clone();
        tokio::spawn(async move { engine.cancel(id).await })
    }

    /// The process is killed: what is on its way is lost with it. Runs that are held go before it.
    pub(super) fn dies(self) {
        self.gate.die();
    }

    /// The process ends as it should, without patience for the runs that are held.
    pub(super) async fn ends(self) {
        within(self.engine.close(async {})).await.unwrap();
    }
}

/// A run in the hands of the test.
pub(super) struct Held {
    pub(super) run: LeasedRun,
}

impl Held {
    pub(super) fn lease(&self) -> &RunLease {
        &self.run.lease
    }

    pub(super) async fn update(&mut self) -> Update {
        let update = within(self.run.updates.recv()).await;
        update.expect("the last update is that the lease is over")
    }

    /// The next update is that a step has ended.
    pub(super) async fn hears_end(&mut self, of: &str) -> Outcome {
        match self.update().await {
            Update::StepDone { step, outcome, .. } if step == of => outcome,
            other => panic!("step `{of}` should have ended: {other:?}"),
        }
    }

    /// The next update is that an event has come; its number.
    pub(super) async fn hears_event(&mut self, step: &str) -> u64 {
        number_of(&self.hears_end(step).await)
    }

    /// The next update is that a wait is recorded.
    async fn hears_wait(&mut self, step: &str) {
        assert_eq!(self.update().await, Update::Waiting(step_id(step)));
    }

    /// The lease is over.
    pub(super) async fn is_over(&mut self) {
        assert_eq!(self.update().await, Update::Over);
        assert!(!self.lease().is_current());
    }

    pub(super) fn reports(&self, step: &str) {
        let outcome = Outcome::Ok(Bytes::from(format!("\"{step}\"")));
        self.lease().step_ended(key(step, Verb::Run), outcome);
    }

    /// A step ends, and its commit is heard of.
    pub(super) async fn does(&mut self, step: &str) {
        self.reports(step);
        self.hears_end(step).await;
    }

    pub(super) async fn sleeps(&mut self, step: &str, time: Duration) {
        let until = self.lease().now() + time;
        self.lease().step_sleeps(key(step, Verb::Sleep), until);
        self.hears_wait(step).await;
    }

    pub(super) fn asks_for(&self, step: &str, event: &str) {
        let wait = key(step, Verb::WaitForEvent).with_target(event);
        let name = EventName::parse(event).unwrap();
        self.lease()
            .step_waits_for_event(wait, Awaited::next(name), None);
    }

    pub(super) async fn waits_for(&mut self, step: &str, event: &str) {
        self.asks_for(step, event);
        self.hears_wait(step).await;
    }

    pub(super) async fn waits_until(&mut self, step: &str, event: &str, time: Duration) {
        let wait = key(step, Verb::WaitForEvent).with_target(event);
        let name = EventName::parse(event).unwrap();
        let until = Some(self.lease().now() + time);
        self.lease()
            .step_waits_for_event(wait, Awaited::next(name), until);
        self.hears_wait(step).await;
    }

    pub(super) async fn invokes_g(&mut self, step: &str) {
        let invoke = key(step, Verb::Invoke).with_target("g");
        let function = FunctionId::parse("g").unwrap();
        self.lease()
            .step_invokes(invoke, &function, event("g"), None);
        self.hears_wait(step).await;
    }

    pub(super) fn publishes(&self, step: &str, outgoing: Outgoing) {
        self.lease()
            .step_publishes(key(step, Verb::Publish), outgoing);
    }

    /// Publishes a message that is not durable.
    pub(super) async fn tries_to_publish(&self) -> Result<Cursor, EngineError> {
        let origin = Arc::new(Origin {
            run: self.run.id,
            step: None,
            attempt: 1,
        });
        let (channel, topic) = (channel_name("c"), TopicName::parse("t").unwrap());
        let payload = Bytes::from_static(b"0");
        let draft = Draft::new(topic, Keep::Log, payload, Some(origin));
        within(self.lease().publish(&channel, draft)).await
    }

    /// Neither reports nor messages under this lease count any more.
    pub(super) async fn can_do_nothing(&self) {
        assert!(!self.lease().is_current());
        self.reports("too-late");
        let refused = self.tries_to_publish().await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::LeaseLost);
    }

    /// Gives the run back until what it waits for has come. `seen` results were heard of.
    pub(super) async fn parks(&mut self, seen: u64) {
        self.lease().park(seen);
        self.is_over().await;
    }

    pub(super) async fn returns(mut self) {
        self.lease().returned(Bytes::from_static(b"\"done\""));
        self.is_over().await;
    }

    /// The result that a step had when the run was handed over.
    pub(super) fn result(&self, of: &str) -> Option<Outcome> {
        let row = self.run.steps.iter().find(|row| row.step == of)?;
        match &row.state {
            StepState::Done { outcome, .. } => Some(outcome.clone()),
            StepState::Open { .. } | StepState::Waiting { .. } => None,
        }
    }

    /// The ids of the steps it was handed.
    pub(super) fn known(&self) -> Vec<&str> {
        self.run.steps.iter().map(|row| row.step.as_str()).collect()
    }
}

pub(super) fn step_id(step: &str) -> StepId {
    StepId::parse(step).unwrap()
}

pub(super) fn key(step: &str, verb: Verb) -> StepKey {
    StepKey::new(step_id(step), verb)
}

pub(super) fn event(name: &str) -> CheckedEvent {
    numbered_event(name, 0)
}

pub(super) fn numbered_event(name: &str, n: u64) -> CheckedEvent {
    CheckedEvent {
        name: EventName::parse(name).unwrap(),
        data: Bytes::from(format!(r#"{{"n":{n}}}"#)),
        key: None,
        at: None,
        extras: Extras::default(),
    }
}

/// The number of the event that a step waited for.
pub(super) fn number_of(outcome: &Outcome) -> u64 {
    let Outcome::Ok(json) = outcome else {
        panic!("an event should have come: {outcome:?}");
    };
    let event: serde_json::Value = serde_json::from_slice(json).unwrap();
    event["data"]["n"].as_u64().unwrap()
}

/// A failure that may be tried again.
pub(super) fn failure() -> Failure {
    Failure::of(RunError {
        code: "function_failed".to_owned(),
        message: "no luck".to_owned(),
        causes: vec![],
        sdk: None,
    })
}
