//! Many batches, one transaction, one fsync.
//!
//! Each batch's conditions are read before it writes, so that a refused one has nothing to undo. An error after that rolls the
//! whole group back, and each batch is then tried once in a transaction of its own: only the guilty one fails. There are no
//! savepoints, which would cost more than half as much again for a case that hardly occurs.

use std::time::Instant;

use rusqlite::Connection;
use stepcast_protocol::Epoch;

use super::{
    apply::apply,
    channels::Channels,
    conditions::check,
    error,
    faults::{CommitFault, Faults},
    space::Space,
};
use crate::store::{Batch, CommitError, Committed, stats::Counters};

/// What became of one batch.
pub(super) type Fate = Result<Committed, CommitError>;

/// The connection that writes, and what it remembers between groups.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) conn: Connection,
    pub(super) epoch: Epoch,
    pub(super) channels: Channels,
    pub(super) space: Space,
    pub(super) faults: Faults,
}

/// What became of a group.
pub(super) struct Answer {
    /// One per batch, in their order.
    pub(super) fates: Vec<Fate>,
    /// The disk failed in the middle; the connection must not be used any more.
    pub(super) broken: Option<String>,
}

/// Why a transaction was not committed.
enum Failure {
    /// It could not begin.
    Begin(rusqlite::Error),
    /// A statement failed, or there was no room; everything is rolled back.
    RolledBack(rusqlite::Error),
    /// Nobody knows what is on disk.
    Unknown(String),
}

impl Groups {
    /// Commits what can be committed and says what became of each batch.
    pub(super) fn commit(&mut self, batches: &[Batch], counters: &Counters) -> Answer {
        match self.transact(batches, counters) {
            Ok(fates) => Answer {
                fates,
                broken: None,
            },
            Err(Failure::Begin(error)) => {
                tracing::warn!(%error, batches = batches.len(), "a transaction could not begin");
                Answer {
                    fates: batches
                        .iter()
                        .map(|_| Err(error::on_batch(&error)))
                        .collect(),
                    broken: None,
                }
            }
            Err(Failure::RolledBack(error)) if batches.len() == 1 => {
                tracing::warn!(%error, "a batch was rejected");
                Answer {
                    fates: vec![Err(error::on_batch(&error))],
                    broken: None,
                }
            }
            Err(Failure::RolledBack(error)) => {
                tracing::debug!(%error, batches = batches.len(), "a group was rolled back, its batches are tried one by one");
                self.commit_each(batches, counters)
            }
            Err(Failure::Unknown(cause)) => Answer {
                fates: batches
                    .iter()
                    .map(|_| Err(CommitError::OutcomeUnknown(cause.clone())))
                    .collect(),
                broken: Some(cause),
            },
        }
    }

    fn commit_each(&mut self, batches: &[Batch], counters: &Counters) -> Answer {
        let mut fates = Vec::with_capacity(batches.len());
        for batch in batches {
            let Answer {
                fates: mut fate,
                broken,
            } = self.commit(std::slice::from_ref(batch), counters);
            fates.append(&mut fate);
            if broken.is_some() {
                fates.resize(batches.len(), Err(CommitError::Closed));
                return Answer { fates, broken };
            }
        }
        Answer {
            fates,
            broken: None,
        }
    }

    fn transact(&mut self, batches: &[Batch], counters: &Counters) -> Result<Vec<Fate>, Failure> {
        let began = Instant::now();
        self.run("BEGIN IMMEDIATE").map_err(Failure::Begin)?;
        let fates = match self.write(batches) {
            Ok(fates) => fates,
            Err(error) => return Err(self.roll_back(error)),
        };
        if fates.iter().all(Result::is_err) {
            self.undo()?;
            return Ok(fates);
        }
        self.finish()?;
        counters.on_group(batches.len());
        counters.on_commit(began.elapsed());
        Ok(fates)
    }

    /// Whether a batch that brings work would be written now: nothing is in the way of a transaction, and there is room.
    pub(super) fn probe(&mut self) -> Result<(), CommitError> {
        self.space.check_any()?;
        self.run("BEGIN IMMEDIATE")
            .and_then(|()| self.run("ROLLBACK"))
            .map_err(|error| error::on_batch(&error))
    }

    fn write(&mut self, batches: &[Batch]) -> rusqlite::Result<Vec<Fate>> {
        let mut fates = Vec::with_capacity(batches.len());
        for batch in batches {
            fates.push(self.write_one(batch)?);
        }
        self.channels.write_heads(&self.conn)?;
        Ok(fates)
    }

    fn write_one(&mut self, batch: &Batch) -> rusqlite::Result<Fate> {
        let Self {
            conn,
            epoch,
            channels,
            space,
            ..
        } = self;
        if let Err(error) = space.check(batch) {
            return Ok(Err(error));
        }
        if let Err(refusal) = check(conn, channels, *epoch, batch)? {
            return Ok(Err(refusal.into()));
        }
        for write in &batch.writes {
            apply(conn, channels, write)?;
        }
        Ok(Ok(Committed::new()))
    }

    /// A full disk is the one failure of a COMMIT with a known outcome: SQLite could not write the frame that would have ended
    /// the transaction, so no reader and no recovery will ever see it.
    fn finish(&mut self) -> Result<(), Failure> {
        let fault = self.faults.take();
        if fault == Some(CommitFault::Lost) {
            self.undo()?;
            return Err(Failure::Unknown("a test asked for it".to_owned()));
        }
        match self.run("COMMIT") {
            Ok(()) if fault == Some(CommitFault::Kept) => {
                Err(Failure::Unknown("a test asked for it".to_owned()))
            }
            Ok(()) => Ok(()),
            Err(error) if error::is_full(&error) => Err(self.roll_back(error)),
            Err(error) => Err(Failure::Unknown(error.to_string())),
        }
    }

    fn roll_back(&mut self, error: rusqlite::Error) -> Failure {
        match self.undo() {
            Ok(()) => Failure::RolledBack(error),
            Err(failure) => failure,
        }
    }

    /// Undoes what was written. SQLite has done so already after some errors.
    fn undo(&mut self) -> Result<(), Failure> {
        self.channels.forget();
        if self.conn.is_autocommit() {
            return Ok(());
        }
        self.run("ROLLBACK")
            .map_err(|error| Failure::Unknown(format!("rolling back: {error}")))
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([]).map(drop)
    }
}
