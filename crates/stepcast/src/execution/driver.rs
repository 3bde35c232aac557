//! Polls one function, and hands results out one at a time, in the order of commits. Between two results the function is polled until it
//! has nothing more to do, in its first life and in every replay alike: so races between steps end the same way each time.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use stepcast_engine::runs::Update;
use stepcast_protocol::{ErrorCode, limits};
use tokio::sync::mpsc;

use super::{Execution, watchdog::Pulse};
use crate::error::Error;

/// The function's future, with its result as JSON.
pub(crate) type Body = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

/// How an execution came to its end.
#[derive(Debug)]
pub(crate) enum Finished {
    /// The function returned or failed.
    Returned(Result<Bytes, Error>),
    /// All it awaits is recorded; the lease may be given back.
    Parked {
        /// The place of the last result it has heard of.
        seen: u64,
    },
    /// Nothing executes, and the run is wanted back.
    Rested,
    /// The lease is over.
    Over,
}

/// The execution of one function, as a future.
pub(crate) struct Driver {
    execution: Arc<Execution>,
    body: Body,
    updates: mpsc::UnboundedReceiver<Update>,
    wake: Arc<BodyWake>,
    pulse: Arc<Pulse>,
    park: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Remembers that the function wants to be polled, and wakes the driver's task.
struct BodyWake {
    wanted: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for BodyWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wanted.store(true, Ordering::Release);
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }
}

/// What polling the function to rest came to.
enum Rest {
    Ready(Result<Bytes, Error>),
    /// It wants to be polled again already; the runtime gets a turn in between.
    Again,
    Quiet,
}

impl Driver {
    pub(crate) fn new(
        execution: Arc<Execution>,
        body: Body,
        updates: mpsc::UnboundedReceiver<Update>,
        pulse: Arc<Pulse>,
    ) -> Self {
        let wake = Arc::new(BodyWake {
            wanted: AtomicBool::new(true),
            task: Mutex::new(None),
        });
        Self {
            execution,
            body,
            updates,
            wake,
            pulse,
            park: None,
        }
    }

    /// Takes over what the engine says. Says whether the lease is over.
    fn hear(&mut self, context: &mut Context<'_>) -> bool {
        while let Poll::Ready(update) = self.updates.poll_recv(context) {
            match update {
                None | Some(Update::Over) => return true,
                Some(update) => {
                    self.execution.table.lock().hear(update);
                    self.park = None;
                }
            }
        }
        false
    }

    /// Polls the function until it is quiet, hands out the next result, and so on.
    fn poll_to_rest(&mut self) -> Rest {
        let waker = Waker::from(Arc::clone(&self.wake));
        let mut context = Context::from_waker(&waker);
        loop {
            if self.wake.wanted.swap(false, Ordering::AcqRel) {
                self.park = None;
                if let Poll::Ready(result) = self.poll_body(&mut context) {
                    return Rest::Ready(result);
                }
                if self.wake.wanted.load(Ordering::Acquire) {
                    return Rest::Again;
                }
            }
            if !self.execution.table.lock().deliver_next() {
                return Rest::Quiet;
            }
            // Whether or not somebody was waiting for it, the next result comes only after a poll.
            self.wake.wanted.store(true, Ordering::Release);
        }
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        let _polling = self.pulse.polling();
        let body = &mut self.body;
        catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(panicked("the function", &*panic))))
    }

    /// Whether the run should leave memory now. While it might, a timer runs.
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<Finished> {
        let execution = Arc::clone(&self.execution);
        let table = execution.table.lock();
        self.pulse.set_awaited(table.is_awaited());
        if !table.is_at_rest() {
            return Poll::Pending;
        }
        if table.is_resting() {
            // What is not recorded would not wake a parked run.
            let only_waits = table.waits_only(execution.lease.now(), Duration::ZERO);
            return Poll::Ready(if only_waits {
                Finished::Parked { seen: table.seen() }
            } else {
                Finished::Rested
            });
        }
        let now = execution.lease.now();
        if !table.waits_only(now, limits::PARK_AFTER) {
            return Poll::Pending;
        }
        let seen = table.seen();
        drop(table);
        let lease = execution.lease.clone();
        let park = self.park.get_or_insert_with(|| {
            Box::pin(async move { lease.wait_until(now + limits::PARK_AFTER).await })
        });
        park.as_mut()
            .poll(context)
            .map(|()| Finished::Parked { seen })
    }

    fn log_unreached(&self) {
        let unreached = self.execution.table.lock().unreached();
        if !unreached.is_empty() {
            tracing::warn!(run = %self.execution.run, steps = ?unreached, "recorded steps were not reached; the function has changed");
        }
    }
}

impl Future for Driver {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Finished> {
        let this = &mut *self;
        *this.wake.task.lock() = Some(context.waker().clone());
        if this.hear(context) {
            return Poll::Ready(Finished::Over);
        }
        match this.poll_to_rest() {
            Rest::Ready(result) => {
                this.log_unreached();
                Poll::Ready(Finished::Returned(result))
            }
            Rest::Again => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Rest::Quiet => this.poll_leave(context),
        }
    }
}

impl Drop for Driver {
    /// The execution is over before the function is dropped, also when the runtime drops both: its steps report nothing on their way
    /// out. What is reported of the run itself comes afterwards, so a destructor that panics must not keep it from being said.
    fn drop(&mut self) {
        self.execution.closed.store(true, Ordering::Release);
        let body = std::mem::replace(&mut self.body, Box::pin(std::future::pending()));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(body))) {
            let error = panicked("a destructor of the function", &*panic);
            tracing::error!(run = %self.execution.run, %error, "the function was dropped");
        }
    }
}

/// A panic as an error: a failed attempt like any other.
pub(crate) fn panicked(who: &str, panic: &(dyn Any + Send)) -> Error {
    let said = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Error::coded(ErrorCode::Panicked, format!("{who} panicked: {said}"))
}
