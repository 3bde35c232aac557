//! Drives one run under one lease: makes the calls that the plan wants, and brings it what they and the engine answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    ops::ControlFlow,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::{BoxFuture, ready},
    stream::FuturesUnordered,
};
use stepcast_engine::runs::{Failure, LeasedRun, Retry, RunLease, StepKey, Update};
use stepcast_protocol::{
    ErrorCode, FunctionId, RequestId, RunError, RunId, Timestamp,
    sdk::{Checkpoint, Checkpoints, Dispatch, Op, SdkEvent, StepHash, call::Target},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Shared,
    deliver::Reporting,
    drivers::{Ask, Place, Refused},
    errand::{Brought, Errand, ErrandError},
    heard::Heard,
    plan::{Attempts, CallId, Calling, Next, Plan, Saying},
    served::{Answered, CallRequest, ServedFunction},
};

/// One run under one lease.
pub(super) struct Driver {
    run: RunId,
    function: FunctionId,
    events: Vec<SdkEvent>,
    lease: RunLease,
    retry: Retry,
    reporting: Reporting,
    plan: Plan,
    shared: Arc<Shared>,
    calls: FuturesUnordered<BoxFuture<'static, (CallId, Result<Answered, Failure>)>>,
    errands: FuturesUnordered<BoxFuture<'static, Returned>>,
    /// The calls in flight, by what they give as their item in the queue.
    requests: BTreeMap<RequestId, CallId>,
    checkpoints: Vec<Awaiting>,
    updates: mpsc::UnboundedReceiver<Update>,
}

/// An errand that is over, and what it has brought.
type Returned = (StepHash, Errand, Result<Brought, ErrandError>);

/// A checkpoint whose commits are on their way.
struct Awaiting {
    steps: BTreeSet<StepHash>,
    reply: oneshot::Sender<Result<(), Refused>>,
}

/// What a driver waits for.
enum Event {
    Heard(Update),
    Answered(CallId, Result<Answered, Failure>),
    Brought(StepHash, Result<Bytes, Failure>),
    Asked(Ask),
    Time,
}

impl Driver {
    pub(super) fn new(run: LeasedRun, served: &ServedFunction, shared: Arc<Shared>) -> Self {
        let retry = shared.retry(served.retries);
        let body = Attempts {
            retries: served.retries,
            failures: run.attempt.saturating_sub(1),
            forgiven: 0,
        };
        let reporting = Reporting::new(&run, retry);
        let plan = Plan::new(&run.steps, body, shared.recollection.take(run.id));
        let LeasedRun {
            id,
            function,
            event,
            lease,
            updates,
            ..
        } = run;
        let events = SdkEvent::try_from(&*event).into_iter().collect();
        Self {
            run: id,
            function,
            events,
            lease,
            retry,
            reporting,
            plan,
            shared,
            calls: FuturesUnordered::new(),
            errands: FuturesUnordered::new(),
            requests: BTreeMap::new(),
            checkpoints: Vec::new(),
            updates,
        }
    }

    /// Until the lease is given back or over.
    pub(super) async fn drive(mut self, _place: Place, mut asks: mpsc::Receiver<Ask>) {
        while let ControlFlow::Continue(until) = self.advance() {
            let event = self.event(&mut asks, until).await;
            if self.handle(event).is_break() {
                break;
            }
        }
        self.finish().await;
    }

    async fn event(&mut self, asks: &mut mpsc::Receiver<Ask>, until: Option<Timestamp>) -> Event {
        let Self {
            lease,
            calls,
            errands,
            updates,
            ..
        } = self;
        let time = async {
            match until {
                Some(at) => lease.wait_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            update = updates.recv() => Event::Heard(update.unwrap_or(Update::Over)),
            Some(ask) = asks.recv() => Event::Asked(ask),
            Some((id, result)) = calls.next() => Event::Answered(id, result),
            Some((step, errand, result)) = errands.next() => {
                Event::Brought(step, errand.outcome(result, lease.now()))
            }
            () = time => Event::Time,
        }
    }

    /// Makes the calls that are due. Says until when to wait, unless the run is given back.
    fn advance(&mut self) -> ControlFlow<(), Option<Timestamp>> {
        loop {
            match self.plan.next(self.lease.now()) {
                Next::Call(calling) => self.call(&calling),
                Next::Errand {
                    step,
                    attempt,
                    errand,
                } => self.run(step, attempt, errand),
                Next::Wait(until) => return ControlFlow::Continue(until),
                Next::Park { seen } => {
                    self.remember(self.plan.discovered());
                    self.lease.park(seen);
                    return ControlFlow::Break(());
                }
                Next::Release => {
                    self.remember(None);
                    self.lease.release();
                    return ControlFlow::Break(());
                }
                Next::Fail(failure) => {
                    self.remember(None);
                    tracing::warn!(run = %self.run, function = %self.function, error = %failure.error, "a function failed");
                    self.lease.failed(failure, self.plan.retry(self.retry));
                    return ControlFlow::Break(());
                }
            }
        }
    }

    fn remember(&self, discovered: Option<u64>) {
        let remembered = self.plan.remembered(discovered);
        self.shared.recollection.keep(self.run, remembered);
    }

    fn call(&mut self, calling: &Calling) {
        let now = self.lease.now();
        let request = self.shared.calls.begin(now);
        self.requests.insert(request, calling.id);
        if let Target::Step(hash) = calling.target {
            self.began(hash, calling.attempt);
        }
        let id = calling.id;
        match self.request(calling, request) {
            Ok(request) => {
                let answer = self.shared.caller.call(request);
                let call = async move {
                    let lost =
                        |error: super::CallError| Failure::of(RunError::new(error.code(), error));
                    (id, answer.await.map_err(lost))
                };
                self.calls.push(Box::pin(call));
            }
            Err(failure) => self.calls.push(Box::pin(ready((id, Err(failure))))),
        }
    }

    fn run(&mut self, step: StepHash, attempt: u32, errand: Errand) {
        self.began(step, attempt);
        let brought = self.shared.caller.run(&self.function, errand.clone());
        let run = async move { (step, errand, brought.await) };
        self.errands.push(Box::pin(run));
    }

    /// Says that an attempt of a step has begun.
    fn began(&self, hash: StepHash, attempt: u32) {
        if let Some(step) = self.plan.memory().get(hash) {
            let key = StepKey::new(step.id.clone(), step.verb).with_target(step.target.clone());
            self.lease.step_began(&key, attempt + 1);
        }
    }

    fn request(&self, calling: &Calling, request: RequestId) -> Result<CallRequest, Failure> {
        let served = self.shared.served.function(&self.function);
        let served = served.ok_or_else(|| not_served(&self.function))?;
        let job = match calling.target {
            Target::Function => self.run.to_string(),
            Target::Step(step) => format!("{}-{step}", self.run),
        };
        let dispatch = Dispatch {
            job,
            generation: u64::from(calling.attempt) + 1,
            checkpoints: Checkpoints::On {
                function: served.function,
                queue_item: request.to_string(),
            },
            request: request.to_string(),
        };
        let call = self.plan.call(self.run, &self.events, calling, dispatch);
        let body = call.body().map_err(|error| {
            let text =
                format!("the function cannot be called with what its steps returned: {error}");
            Failure::terminal(ErrorCode::BadResult, text)
        })?;
        Ok(CallRequest {
            url: call.url(&served.url),
            headers: call.headers(),
            body: Bytes::from(body.json),
        })
    }

    fn handle(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Time => ControlFlow::Continue(()),
            Event::Heard(update) => self.on_update(update),
            Event::Answered(id, result) => {
                let now = self.lease.now();
                let heard = Heard::read(result, now);
                let (has_failed, is_cut) = (heard.what.has_failed(), heard.what.is_lost());
                let sayings = self.plan.on_answer(id, heard, now);
                let is_last = sayings.iter().any(Saying::ends);
                // What a handler has said on its way to the run's last failure stands.
                self.over(id, has_failed && (is_cut || !is_last));
                self.say(sayings)
            }
            Event::Brought(step, result) => {
                let sayings = self.plan.on_brought(step, result);
                self.say(sayings)
            }
            Event::Asked(Ask::Checkpoint(checkpoint, reply)) => {
                self.on_checkpoint(checkpoint, reply)
            }
            // Whoever asked may have gone.
            Event::Asked(Ask::Steps(reply)) => {
                drop(reply.send(json(self.plan.memory().memos())));
                ControlFlow::Continue(())
            }
            Event::Asked(Ask::Events(reply)) => {
                drop(reply.send(json(&self.events)));
                ControlFlow::Continue(())
            }
        }
    }

    /// A call is over.
    fn over(&mut self, id: CallId, is_lost: bool) {
        let calls = &self.shared.calls;
        self.requests.retain(|request, call| {
            let is_it = *call == id;
            match (is_it, is_lost) {
                (true, true) => calls.lose(*request),
                (true, false) => calls.end(*request),
                (false, _) => {}
            }
            !is_it
        });
    }

    fn on_update(&mut self, update: Update) -> ControlFlow<()> {
        match update {
            Update::StepDone { step, seq, outcome } => {
                self.plan.on_done(&step, seq, &outcome);
                self.committed(StepHash::of_step(&step), Ok(()));
            }
            Update::StepRetry { step, attempts, at } => self.plan.on_retry(&step, attempts, at),
            Update::Waiting(step) => self.plan.on_waiting(&step),
            Update::StepRefused { step, error } => {
                let sayings = self.plan.on_refused(&step, error.clone());
                self.committed(StepHash::of_step(&step), Err(Refused::Step(error)));
                return self.say(sayings);
            }
            Update::GiveBack => self.plan.rest(),
            Update::Over => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Reports. Breaks when the run has come to its end.
    fn say(&mut self, sayings: Vec<Saying>) -> ControlFlow<()> {
        for saying in sayings {
            match saying {
                Saying::Step(report) => {
                    if let Err(failure) = self.reporting.deliver(report) {
                        self.fail(failure);
                        return ControlFlow::Break(());
                    }
                }
                Saying::Returned(json) => {
                    self.lease.returned(json.into());
                    return ControlFlow::Break(());
                }
                Saying::Failed(failure) => {
                    self.fail(failure);
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn fail(&self, failure: Failure) {
        tracing::warn!(run = %self.run, function = %self.function, error = %failure.error, "a run failed");
        self.lease.failed(failure, self.plan.retry(self.retry));
    }

    fn on_checkpoint(
        &mut self,
        checkpoint: Checkpoint,
        reply: oneshot::Sender<Result<(), Refused>>,
    ) -> ControlFlow<()> {
        let call = match self.reporter(&checkpoint) {
            Ok(call) => call,
            Err(refused) => {
                drop(reply.send(Err(refused)));
                return ControlFlow::Continue(());
            }
        };
        let (sayings, steps) = self
            .plan
            .on_checkpoint(call, checkpoint.ops, self.lease.now());
        let ended = self.say(sayings);
        if ended.is_break() {
            self.over(call, false);
        }
        if steps.is_empty() && ended.is_continue() {
            drop(reply.send(Ok(())));
        } else {
            self.checkpoints.push(Awaiting { steps, reply });
        }
        ended
    }

    /// The call that a checkpoint comes from, if it goes on.
    fn reporter(&self, checkpoint: &Checkpoint) -> Result<CallId, Refused> {
        if checkpoint
            .ops
            .iter()
            .any(|op| matches!(op, Op::SyncRunComplete { .. }))
        {
            return Err(Refused::NotAnEndpoint(self.run));
        }
        let is_its_own = |request: &String| *request == checkpoint.queue_item;
        let request = checkpoint.queue_item.parse::<RequestId>().ok();
        let call = request.and_then(|request| self.requests.get(&request).copied());
        call.filter(|call| self.plan.may_report(*call))
            .filter(|_| checkpoint.request.as_ref().is_none_or(is_its_own))
            .ok_or(Refused::NotCurrent(self.run))
    }

    /// A commit that checkpoints may wait for has come, or has been refused.
    fn committed(&mut self, step: StepHash, result: Result<(), Refused>) {
        for mut awaiting in std::mem::take(&mut self.checkpoints) {
            let was_awaited = awaiting.steps.remove(&step);
            let over = match &result {
                Ok(()) => awaiting.steps.is_empty(),
                Err(_) => was_awaited,
            };
            if over {
                drop(awaiting.reply.send(result.clone()));
            } else {
                self.checkpoints.push(awaiting);
            }
        }
    }

    /// A checkpoint with the end of its run is answered when that is committed.
    async fn finish(mut self) {
        self.calls.clear();
        self.errands.clear();
        // What is still under way has no result any more.
        for request in self.requests.into_keys() {
            self.shared.calls.lose(request);
        }
        if self.checkpoints.is_empty() {
            return;
        }
        while let Some(update) = self.updates.recv().await {
            match update {
                Update::Over => break,
                Update::StepDone { step, .. } => {
                    for awaiting in &mut self.checkpoints {
                        awaiting.steps.remove(&StepHash::of_step(&step));
                    }
                }
                _ => {}
            }
        }
        for awaiting in self.checkpoints {
            if awaiting.steps.is_empty() {
                drop(awaiting.reply.send(Ok(())));
            }
        }
    }
}

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("hashes and JSON can always be written as JSON")
        .into()
}

pub(super) fn not_served(function: &FunctionId) -> Failure {
    let text =
        format!("no app serves function `{function}` at the moment; start the app that has it");
    Failure::of(RunError::new(ErrorCode::UnknownFunction, text))
}
