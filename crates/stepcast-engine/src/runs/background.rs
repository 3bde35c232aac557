//! What goes on beside the runs: timers, loading, and letting go of what is old. On a thread of the engine's own with a runtime of its own,
//! so that it goes on when user code blocks its threads; or on a runtime that was given.

use std::{future::Future, sync::Weak, thread::JoinHandle, time::Duration};

use parking_lot::Mutex;
use stepcast_protocol::Timestamp;
use tokio::{runtime::Handle, sync::watch};

use super::{
    Inner, Runs,
    timers::{Due, PAGE},
};
use crate::{
    error::EngineError,
    hub::Place,
    store::{Batch, RunQuery, StoreExt, Write},
};

/// How often it is looked for runs that ended long ago, and how many go at once.
const EXPIRY: Duration = Duration::from_secs(60);
const EXPIRED_AT_ONCE: usize = 200;
/// How often the hub is asked to let go of what nobody uses.
const SWEEP: Duration = Duration::from_secs(1);

/// Where the engine's own tasks run.
#[derive(Debug, Clone, Default)]
pub(crate) enum Home {
    /// On a thread of their own.
    #[default]
    OwnThread,
    /// On this runtime.
    Runtime(Handle),
}

pub(super) struct Background {
    handle: Handle,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    pub(super) fn start(home: Home) -> Self {
        match home {
            Home::OwnThread => Self::on_own_thread(),
            Home::Runtime(handle) => Self {
                handle,
                stop: watch::Sender::new(false),
                thread: Mutex::new(None),
            },
        }
    }

    fn on_own_thread() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without sockets needs nothing that can be missing");
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("stepcast-engine".to_owned())
            .spawn(move || {
                // Ends when `stop` is set or dropped; what was spawned is dropped with the runtime.
                drop(runtime.block_on(stopped.wait_for(|stop| *stop)));
            })
            .expect("the system can start a thread");
        Self {
            handle,
            stop,
            thread: Mutex::new(Some(thread)),
        }
    }

    /// Starts a task that ends with the engine at the latest.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut stopped = self.stop.subscribe();
        drop(self.handle.spawn(async move {
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => {}
                () = task => {}
            }
        }));
    }

    /// Ends every task, and the thread if there is one. From the thread itself, it only asks.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
        let Some(thread) = self.thread.lock().take() else {
            return;
        };
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the engine's thread panicked");
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Fires timers when their time has come, until the engine is gone. Holds it only while it looks, so that a dropped engine goes at once.
pub(super) async fn keep_time(runs: Weak<Inner>) {
    loop {
        let Some(inner) = runs.upgrade() else { return };
        match inner.timers.due(inner.clock.now()) {
            Due::Fire(timers) => {
                let runs = Runs(inner);
                timers.into_iter().for_each(|timer| runs.on_timer(timer));
            }
            Due::Load(after) => match inner.store.timers(after, PAGE).await {
                Ok(page) => inner.timers.loaded(page),
                Err(error) => {
                    tracing::error!(%error, "timers could not be read; trying again");
                    tokio::time::sleep(SWEEP).await;
                }
            },
            Due::At(at) => {
                let (clock, changed) = (inner.clock.clone(), inner.timers.changed());
                drop(inner);
                tokio::select! {
                    biased;
                    () = clock.wait_until(at) => {}
                    () = changed.notified() => {}
                    () = tokio::time::sleep(SWEEP) => {}
                }
            }
            Due::Never => {
                let changed = inner.timers.changed();
                drop(inner);
                tokio::select! {
                    biased;
                    () = changed.notified() => {}
                    () = tokio::time::sleep(SWEEP) => {}
                }
            }
        }
    }
}

/// Lets go of what ended long ago, in small pieces, until the engine is gone.
pub(super) async fn keep_small(runs: Weak<Inner>) {
    loop {
        let Some(inner) = runs.upgrade() else { return };
        let now = inner.clock.now();
        let before = Timestamp::from_millis(
            now.as_millis() - i64::try_from(inner.retention.as_millis()).unwrap_or(i64::MAX),
        );
        let more = match expire(&inner, before, now).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "what ended long ago could not be deleted; trying again");
                false
            }
        };
        drop(inner);
        tokio::time::sleep(if more { SWEEP / 10 } else { EXPIRY }).await;
    }
}

/// Says whether there may be more.
async fn expire(inner: &Inner, before: Timestamp, now: Timestamp) -> Result<bool, EngineError> {
    let limit = EXPIRED_AT_ONCE;
    inner
        .store
        .commit(Batch::of(vec![Write::Expire { before, now, limit }]))
        .await?;
    let left = inner.store.runs(RunQuery::EndedBefore(before, 1)).await?;
    Ok(!left.is_empty())
}

/// Lets the hub sweep and let go of messages once in a while, and asks runs that only wait to make room for others, until the engine is
/// gone.
pub(super) async fn keep_tidy(runs: Weak<Inner>) {
    let mut place = Place::default();
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(inner) = runs.upgrade() else { return };
        inner.hub.sweep();
        if let Err(error) = inner.hub.trim().await {
            tracing::warn!(%error, "topics could not be held within their bounds; trying again");
        }
        if let Err(error) = inner.hub.expire(&mut place).await {
            tracing::warn!(%error, "messages that are too old could not be deleted; trying again");
        }
        inner.lanes.fill();
        inner.ends.lock().retain(|_, waiting| {
            waiting.retain(|end| !end.is_closed());
            !waiting.is_empty()
        });
    }
}
