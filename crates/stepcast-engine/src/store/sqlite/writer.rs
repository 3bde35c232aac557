//! The thread that writes.
//!
//! Owns the writing connection and the file's lock. Takes what waits, commits it as one group and calls the completions in the
//! order of the queue, holding nothing. After a COMMIT whose outcome is unknown it answers `closed` until it is told to reopen.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use rusqlite::Connection;
use stepcast_protocol::Epoch;

use super::{
    Shared,
    channels::Channels,
    error::backend,
    file,
    group::{Answer, Fate, Groups},
    options::SqliteOptions,
    owner::Owner,
    queue::{Task, Waiting},
    space::Space,
};
use crate::{
    clock::Clock,
    store::{CommitError, OnCommit, StoreError},
};

pub(super) struct Writer {
    pub(super) file: PathBuf,
    pub(super) options: SqliteOptions,
    pub(super) clock: Clock,
    pub(super) shared: Arc<Shared>,
    pub(super) life: Life,
}

/// Where the writer is in its life.
pub(super) enum Life {
    /// It writes.
    Open(Box<Groups>, Owner),
    /// The disk failed in the middle; the file is still ours.
    Broken(Owner),
    /// It has let go of the file.
    Closed,
}

impl Writer {
    pub(super) fn groups(
        conn: Connection,
        epoch: Epoch,
        file: &std::path::Path,
        options: &SqliteOptions,
    ) -> Box<Groups> {
        let directory = file.parent().unwrap_or(file).to_owned();
        Box::new(Groups {
            conn,
            epoch,
            channels: Channels::default(),
            space: Space::new(directory, options.min_free_bytes),
            faults: options.faults.clone(),
        })
    }

    /// Works until the store is gone.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            match shared.queue.next() {
                Task::Group(group) => self.on_group(group),
                // Nobody may be waiting for the answers any more.
                Task::Probe(reply) => drop(reply.send(self.on_probe())),
                Task::Reopen(reply) => drop(reply.send(self.on_reopen())),
                Task::Close(reply) => drop(reply.send(self.on_close())),
                Task::End => break,
            }
        }
        // Connections close here; the epoch stays open, as nobody said goodbye.
        shared.readers.stop();
    }

    fn on_group(&mut self, group: Vec<Waiting>) {
        let (batches, completions): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|Waiting { batch, done, .. }| (batch, done))
            .unzip();
        let fates = match &mut self.life {
            Life::Broken(_) | Life::Closed => {
                batches.iter().map(|_| Err(CommitError::Closed)).collect()
            }
            Life::Open(groups, _) => {
                let counters = &self.shared.counters;
                let answer = catch_unwind(AssertUnwindSafe(|| groups.commit(&batches, counters)))
                    .unwrap_or_else(|_| unknown(batches.len(), "the writer panicked"));
                if let Some(cause) = answer.broken {
                    self.on_broken(&cause);
                }
                answer.fates
            }
        };
        self.shared.counters.on_fates(&fates);
        drop(batches);
        for (done, fate) in completions.into_iter().zip(fates) {
            complete(done, fate);
        }
    }

    fn on_probe(&mut self) -> Result<(), CommitError> {
        match &mut self.life {
            Life::Open(groups, _) => groups.probe(),
            Life::Broken(_) | Life::Closed => Err(CommitError::Closed),
        }
    }

    fn on_broken(&mut self, cause: &str) {
        tracing::error!(cause, file = %self.file.display(), "a commit failed in the middle; nothing is written until the store is reopened");
        if let Life::Open(_, owner) = std::mem::replace(&mut self.life, Life::Closed) {
            self.life = Life::Broken(owner);
        }
    }

    fn on_reopen(&mut self) -> Result<Epoch, StoreError> {
        let owner = match std::mem::replace(&mut self.life, Life::Closed) {
            Life::Closed => return Err(StoreError::Closed),
            Life::Open(groups, owner) => {
                drop(groups);
                owner
            }
            Life::Broken(owner) => owner,
        };
        self.shared.readers.reconnect();
        let opened = file::open_writer(&self.file, &self.options).and_then(|conn| {
            file::begin_epoch(&conn, &self.file, self.clock.now()).map(|epoch| (conn, epoch))
        });
        match opened {
            Ok((conn, epoch)) => {
                self.shared.set_epoch(epoch);
                self.life = Life::Open(Self::groups(conn, epoch, &self.file, &self.options), owner);
                tracing::info!(epoch = epoch.0, file = %self.file.display(), "the database was reopened");
                Ok(epoch)
            }
            Err(error) => {
                self.life = Life::Broken(owner);
                Err(error)
            }
        }
    }

    fn on_close(&mut self) -> Result<(), StoreError> {
        let life = std::mem::replace(&mut self.life, Life::Closed);
        // Before the lock is let go, so that nobody reads from a file that is somebody else's.
        self.shared.readers.stop();
        match life {
            Life::Closed => Err(StoreError::Closed),
            Life::Broken(_owner) => Err(backend(
                format_args!("closing database `{}`", self.file.display()),
                "a commit had failed in the middle, its epoch stays open",
            )),
            Life::Open(groups, owner) => {
                let closed = file::end_epoch(groups.conn, &self.file, self.shared.epoch());
                drop(owner);
                closed
            }
        }
    }
}

fn unknown(batches: usize, cause: &str) -> Answer {
    Answer {
        fates: vec![Err(CommitError::OutcomeUnknown(cause.to_owned())); batches],
        broken: Some(cause.to_owned()),
    }
}

/// A completion that panics is its owner's bug and must not take the writer with it.
fn complete(done: OnCommit, fate: Fate) {
    if catch_unwind(AssertUnwindSafe(|| done(fate))).is_err() {
        tracing::error!("the completion of a batch panicked");
    }
}
