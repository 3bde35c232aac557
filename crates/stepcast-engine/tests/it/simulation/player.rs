//! Executes programs as the SDK executes functions: on the SDK's own code for replays, with verbs that do what the SDK's verbs do.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, OnceLock},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use stepcast_engine::{
    hub::{Draft, Hub, Outgoing},
    runs::{Awaited, Failure, LeasedRun, Retry, RunLease, StepKey, Worker},
    store::{Outcome, Verb},
};
use stepcast_protocol::{
    ErrorCode, EventName, FunctionId, Origin, StepId,
    event::{CheckedEvent, Extras},
    sdk::Conflict,
};
use tokio::{runtime::Handle, task::yield_now};

use super::{
    chance::Chance,
    journal::Journal,
    ledger::Ledger,
    program::{Code, Node, Program, SIGNAL, Target},
    sdk::{
        channels::{Channels, Encoded},
        error::Error,
    },
};
use crate::execution::{
    AttemptScope, Body, Claim, Driver, Execution, Finished, Next, StepDefaults, Watchdog,
    in_attempt,
};

static WATCHDOG: LazyLock<Watchdog> = LazyLock::new(Watchdog::start);

/// The worker of one life.
pub(crate) struct Player {
    programs: Arc<Vec<Program>>,
    runtime: Handle,
    chance: Chance,
    journal: Journal,
    ledger: Ledger,
    hub: OnceLock<Hub>,
    early: Mutex<Vec<LeasedRun>>,
}

pub(crate) fn function_id(index: usize) -> FunctionId {
    FunctionId::parse(format!("f{index}")).unwrap()
}

impl Player {
    pub(crate) fn new(
        programs: Arc<Vec<Program>>,
        runtime: Handle,
        chance: Chance,
        journal: Journal,
        ledger: Ledger,
    ) -> Self {
        Self {
            programs,
            runtime,
            chance,
            journal,
            ledger,
            hub: OnceLock::new(),
            early: Mutex::default(),
        }
    }

    /// The engine is there; runs that it leased while it was being opened begin.
    pub(crate) fn begin(&self, hub: Hub) {
        drop(self.hub.set(hub));
        let early = std::mem::take(&mut *self.early.lock().unwrap());
        early.into_iter().for_each(|run| self.start(run));
    }

    fn spawn(&self, run: LeasedRun, hub: &Hub) {
        self.ledger.on_start(&run);
        let index: usize = run.function.as_str()[1..].parse().unwrap();
        let program = self.programs[index].clone();
        let defaults = StepDefaults {
            retry: Retry::default(),
            timeout: Duration::from_secs(7_200),
        };
        let execution = Arc::new(Execution::new(&run, hub.clone(), Channels, defaults));
        let pulse = WATCHDOG.watch(run.id, run.function.clone());
        let play = Play {
            execution: Arc::clone(&execution),
            chance: self.chance.fork(),
            journal: self.journal.clone(),
            ledger: self.ledger.clone(),
        };
        let zombie = play.clone();
        let LeasedRun {
            lease,
            updates,
            id,
            attempt,
            ..
        } = run;
        let journal = self.journal.clone();
        let retry = Retry::times(program.retries);
        self.runtime.spawn(async move {
            let nodes = program.nodes;
            let body: Body = Box::pin(async move {
                play.all(&nodes).await?;
                Ok(Bytes::from_static(b"\"done\""))
            });
            let finished = Driver::new(execution, body, updates, pulse).await;
            journal.note(format_args!("run {id} attempt {attempt}: {finished:?}"));
            match finished {
                Finished::Returned(Ok(json)) => lease.returned(json),
                Finished::Returned(Err(error)) => lease.failed(failure(error), retry),
                Finished::Parked { seen } => lease.park(seen),
                Finished::Rested => lease.release(),
                Finished::Over => zombie.haunt(lease).await,
            }
        });
    }
}

fn failure(error: Error) -> Failure {
    Failure {
        terminal: error.is_terminal(),
        ..Failure::of(error.into_run_error())
    }
}

impl Worker for Player {
    fn start(&self, run: LeasedRun) {
        match self.hub.get() {
            Some(hub) => self.spawn(run, hub),
            None => self.early.lock().unwrap().push(run),
        }
    }
}

/// One execution of a program.
#[derive(Clone)]
struct Play {
    execution: Arc<Execution>,
    chance: Chance,
    journal: Journal,
    ledger: Ledger,
}

type Played<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

impl Play {
    fn all<'a>(&'a self, nodes: &'a [Node]) -> Played<'a> {
        Box::pin(async move {
            for node in nodes {
                self.one(node).await?;
            }
            Ok(())
        })
    }

    async fn one(&self, node: &Node) -> Result<(), Error> {
        match node {
            Node::Run(code) => {
                let result = self.run(code).await;
                if code.is_caught { Ok(()) } else { result }
            }
            Node::Publish(step, target) => self.publish(step, *target).await,
            Node::Sleep(step, time) => self.sleep(step, *time).await,
            Node::Wait {
                step,
                event,
                timeout,
                since_run_start,
            } => self.wait(step, event, *timeout, *since_run_start).await,
            // What became of the other run is its own affair.
            Node::Invoke {
                step,
                function,
                timeout,
            } => self.invoke(step, *function, *timeout).await.or(Ok(())),
            // Somebody else may wait for it already.
            Node::Signal {
                step,
                conflict,
                timeout,
            } => self.signal(step, *conflict, *timeout).await.or(Ok(())),
            Node::Send(step, event) => self.send(step, event).await,
            Node::Say(label, target) => self.say(label, *target).await,
            Node::Join(branches) => self.join(branches).await,
            Node::Race(branches) => self.race(branches).await,
            Node::Fail { attempts, terminal } => {
                if self.execution.attempt > *attempts {
                    return Ok(());
                }
                let error = Error::coded(ErrorCode::FunctionFailed, "the body fails");
                Err(if *terminal { error.terminal() } else { error })
            }
        }
    }

    /// The first error ends it, as with `try_join!`.
    async fn join(&self, branches: &[Vec<Node>]) -> Result<(), Error> {
        let mut open: Vec<_> = branches.iter().map(|nodes| Some(self.all(nodes))).collect();
        poll_fn(|context| {
            for slot in &mut open {
                let Some(branch) = slot else { continue };
                if let Poll::Ready(result) = branch.as_mut().poll(context) {
                    *slot = None;
                    result?;
                }
            }
            if open.iter().all(Option::is_none) {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    async fn race(&self, branches: &[Vec<Node>]) -> Result<(), Error> {
        let mut open: Vec<_> = branches.iter().map(|nodes| self.all(nodes)).collect();
        poll_fn(|context| {
            let mut polled = open.iter_mut().map(|branch| branch.as_mut().poll(context));
            polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }

    fn claim(&self, step: &str, verb: Verb, target: String) -> Result<Claim, Error> {
        let key = StepKey::new(StepId::parse(step).unwrap(), verb).with_target(target);
        self.execution.claim(key)
    }

    async fn run(&self, code: &Code) -> Result<(), Error> {
        let mut claim = self.claim(&code.step, Verb::Run, String::new())?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(drop),
                Next::Execute => {
                    let attempt = claim.begin().await;
                    let id = claim.key().id.clone();
                    self.ledger.on_execute(self.execution.run, &id, attempt);
                    let scope = Arc::new(AttemptScope::new(self.execution.run, id, attempt));
                    let result = in_attempt(scope, self.user_code(code, attempt)).await;
                    let retry = Retry::times(code.retries);
                    claim.report(|execution, key| match result {
                        Ok(json) => execution.lease.step_ended(key, Outcome::Ok(json)),
                        Err(error) => execution.lease.step_failed(key, failure(error), retry),
                    });
                }
            }
        }
    }

    async fn user_code(&self, code: &Code, attempt: u32) -> Result<Bytes, Error> {
        let (run, step) = (self.execution.run, &code.step);
        for (index, target) in code.says.iter().enumerate() {
            for _ in 0..self.chance.below(code.yields + 1) {
                yield_now().await;
            }
            let payload = payload(format_args!("{run}/{step}/{attempt}/{index}"));
            self.say_payload(*target, payload.clone()).await?;
            self.ledger
                .on_step_said(run, step, attempt, *target, payload);
        }
        if attempt > code.fails {
            return Ok(format!("\"{step} of attempt {attempt}\"").into());
        }
        let error = Error::coded(ErrorCode::FunctionFailed, "the step fails");
        Err(if code.terminal {
            error.terminal()
        } else {
            error
        })
    }

    /// What `ctx.publish` does outside of steps.
    async fn say(&self, label: &str, target: Target) -> Result<(), Error> {
        let run = self.execution.run;
        let payload = payload(format_args!("{run}/{label}"));
        self.say_payload(target, payload.clone()).await?;
        self.ledger.on_body_said(run, target, payload);
        Ok(())
    }

    async fn say_payload(&self, target: Target, payload: Bytes) -> Result<(), Error> {
        let _held = self.execution.hold_results();
        let (name, origin) = (target.channel(), self.execution.origin());
        let encoded = Encoded {
            topic: target.topic(),
            payload,
            keep: target.keep(),
        };
        if origin.step.is_none() && self.execution.take_settled(&name, &encoded) {
            return Ok(());
        }
        let draft = Draft::new(encoded.topic, encoded.keep, encoded.payload, Some(origin));
        let published = self.execution.lease.publish(&name, draft.clone()).await;
        let cursor = published.map_err(Error::engine)?;
        self.ledger.on_sight(&name, cursor, &draft.payload);
        Ok(())
    }

    async fn publish(&self, step: &str, target: Target) -> Result<(), Error> {
        let execution = &self.execution;
        let (name, topic) = (target.channel(), target.topic());
        let mut claim = self.claim(step, Verb::Publish, format!("{name} {topic}"))?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(drop),
                Next::Execute => {
                    let channel = execution.hub.channel(&name).await;
                    let channel = channel.map_err(|error| Error::coded(error.code(), error))?;
                    let attempt = claim.begin().await;
                    let origin = execution.step_origin(&claim.key().id, attempt);
                    let payload = payload(format_args!("{}/{step}", execution.run));
                    let draft = Draft::new(topic.clone(), target.keep(), payload, Some(origin));
                    claim.report(|execution, key| {
                        let outgoing = Outgoing { channel, draft };
                        execution.lease.step_publishes(key, outgoing);
                    });
                }
            }
        }
    }

    async fn sleep(&self, step: &str, time: Duration) -> Result<(), Error> {
        let until = self.execution.lease.now() + time;
        let mut claim = self.claim(step, Verb::Sleep, String::new())?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(drop),
                Next::Execute => {
                    claim.begin().await;
                    claim.report(|execution, key| execution.lease.step_sleeps(key, until));
                }
            }
        }
    }

    async fn wait(
        &self,
        step: &str,
        event: &str,
        timeout: Duration,
        since_run_start: bool,
    ) -> Result<(), Error> {
        let name = EventName::parse(event).unwrap();
        let mut claim = self.claim(step, Verb::WaitForEvent, event.to_owned())?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(drop),
                Next::Execute => {
                    claim.begin().await;
                    let until = Some(self.execution.lease.now() + timeout);
                    claim.report(|execution, key| {
                        let (name, lease) = (name.clone(), &execution.lease);
                        let awaited = Awaited {
                            since_run_start,
                            ..Awaited::next(name)
                        };
                        lease.step_waits_for_event(key, awaited, until);
                    });
                }
            }
        }
    }

    async fn signal(&self, step: &str, conflict: Conflict, timeout: Duration) -> Result<(), Error> {
        let mut claim = self.claim(step, Verb::WaitForSignal, SIGNAL.to_owned())?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(drop),
                Next::Execute => {
                    claim.begin().await;
                    let until = Some(self.execution.lease.now() + timeout);
                    claim.report(|execution, key| {
                        let lease = &execution.lease;
                        let waits = lease.step_waits_for_signal(key.clone(), conflict, until);
                        if let Err(error) = waits {
                            let failure = Failure::terminal(error.code(), error);
                            lease.step_failed(key, failure, Retry::never());
                        }
                    });
                }
            }
        }
    }

    async fn invoke(
        &self,
        step: &str,
        function: usize,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        let function = function_id(function);
        let mut claim = self.claim(step, Verb::Invoke, function.to_string())?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(drop),
                Next::Execute => {
                    claim.begin().await;
                    let until = timeout.map(|timeout| self.execution.lease.now() + timeout);
                    claim.report(|execution, key| {
                        let lease = &execution.lease;
                        lease.step_invokes(key, &function, event("invoked", None), until);
                    });
                }
            }
        }
    }

    async fn send(&self, step: &str, name: &str) -> Result<(), Error> {
        let mut claim = self.claim(step, Verb::SendEvent, name.to_owned())?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(drop),
                Next::Execute => {
                    claim.begin().await;
                    let events = vec![event(name, None)];
                    claim.report(|execution, key| execution.lease.step_sends(key, events));
                }
            }
        }
    }

    /// Whoever has lost a run may not know it yet, and goes on.
    async fn haunt(&self, lease: RunLease) {
        if !self.chance.one_in(3) {
            return;
        }
        for _ in 0..self.chance.below(20) {
            yield_now().await;
        }
        let ghost = || Bytes::from_static(b"{\"said\":\"ghost;\"}");
        let target = Target::any(&self.chance);
        let origin = Arc::new(Origin {
            run: self.execution.run,
            step: None,
            attempt: self.execution.attempt,
        });
        let draft = Draft::new(target.topic(), target.keep(), ghost(), Some(origin));
        let published = lease.publish(&target.channel(), draft).await;
        self.journal.check(published.is_err(), || {
            format!("a lost lease has published: {published:?}")
        });
        let key = StepKey::new(StepId::parse("ghost").unwrap(), Verb::Run);
        lease.step_ended(key, Outcome::Ok(ghost()));
        lease.returned(ghost());
    }
}

/// A payload that fits every topic, with a text that no other message has.
pub(crate) fn payload(text: std::fmt::Arguments<'_>) -> Bytes {
    format!("{{\"said\":\"{text};\"}}").into()
}

pub(crate) fn event(name: &str, key: Option<String>) -> CheckedEvent {
    CheckedEvent {
        name: EventName::parse(name).unwrap(),
        data: Bytes::from_static(b"{}"),
        key,
        at: None,
        extras: Extras::default(),
    }
}
