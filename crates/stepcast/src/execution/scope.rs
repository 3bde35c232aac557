//! Whose code is being polled. Set around each poll of a step's future, so that what it publishes is its own however futures are combined.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use stepcast_protocol::{Origin, StepId};

/// One attempt of one step.
#[derive(Debug)]
pub(crate) struct AttemptScope {
    origin: Arc<Origin>,
    step: StepId,
    over: AtomicBool,
}

impl AttemptScope {
    pub(crate) fn new(run: stepcast_protocol::RunId, step: StepId, attempt: u32) -> Self {
        let origin = Arc::new(Origin {
            run,
            step: Some(step.clone()),
            attempt,
        });
        Self {
            origin,
            step,
            over: AtomicBool::new(false),
        }
    }

    pub(crate) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    pub(crate) fn step(&self) -> &StepId {
        &self.step
    }

    /// Whether its step has a result, or another attempt.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

thread_local! {
    static CURRENT: RefCell<Vec<Arc<AttemptScope>>> = const { RefCell::new(Vec::new()) };
}

/// The innermost attempt that is being polled on this thread.
pub(super) fn current() -> Option<Arc<AttemptScope>> {
    CURRENT.with_borrow(|scopes| scopes.last().map(Arc::clone))
}

/// Polls `future` as the code of an attempt. The attempt is over when the future has ended or is dropped.
pub(crate) fn in_attempt<F: Future>(scope: Arc<AttemptScope>, future: F) -> InAttempt<F> {
    InAttempt {
        scope,
        future: Box::pin(future),
    }
}

pub(crate) struct InAttempt<F> {
    scope: Arc<AttemptScope>,
    future: Pin<Box<F>>,
}

/// Takes the scope off again, also when the poll panics.
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|scopes| {
            scopes.pop();
        });
    }
}

impl<F: Future> Future for InAttempt<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        CURRENT.with_borrow_mut(|scopes| scopes.push(Arc::clone(&self.scope)));
        let _entered = Entered;
        self.future.as_mut().poll(context)
    }
}

impl<F> Drop for InAttempt<F> {
    fn drop(&mut self) {
        self.scope.over.store(true, Ordering::Release);
    }
}
