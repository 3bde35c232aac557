//! When a store in memory does what it was asked for.

use std::future::ready;

use tokio::runtime::Handle;

use super::Work;
use crate::store::{Batch, BoxFuture, CommitError, Committed};

/// Decides when batches are committed and reads are answered.
pub trait Pace: Send + Sync + 'static {
    /// Something waits where nothing has waited before. Called by whoever submits, who may hold locks that completions need: see to it that
    /// somebody else does the work.
    fn on_waiting(&self, work: Work);

    /// A batch has its fate, and nobody has been told. Called in the order of commits, under the store's locks: look at it and return.
    fn on_fate(&self, _batch: &Batch, _fate: &Result<Committed, CommitError>) {}

    /// What is waited for before and after a read. Nothing, unless a simulation wants answers to be late.
    fn delay(&self) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}

/// Commits what waits as soon as a runtime gets a turn.
#[derive(Debug, Clone)]
pub struct AtOnce(Handle);

impl AtOnce {
    /// On this runtime.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self(runtime)
    }

    /// On the runtime of the caller.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn here() -> Self {
        Self(Handle::current())
    }
}

impl Pace for AtOnce {
    fn on_waiting(&self, work: Work) {
        // Ends when nothing waits any more, or with the runtime.
        drop(self.0.spawn(async move { work.finish() }));
    }
}
