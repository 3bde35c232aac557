//! On which channels a run has published, as far as pages of npm `inngest` need it: the store knows them from the commit of the message on,
//! so that the run's end finds them in whatever process it comes.

use std::sync::Arc;

use stepcast_protocol::{Cursor, Kind, RunId};

use super::{Runs, cell::RunCell};
use crate::{
    hub::{Channel, Draft, Outgoing},
    store::{StoreError, Write},
};

/// Channels that a batch marks, each with the place of its first message among those of the batch.
#[derive(Default)]
pub(super) struct Marks(Vec<(usize, Arc<Channel>)>);

impl Marks {
    /// The writes, once the messages of the batch have their numbers.
    pub(super) fn writes(&self, run: RunId, cursors: &[Cursor]) -> Vec<Write> {
        let marks = self.0.iter();
        marks
            .map(|(index, channel)| Write::RunChannel(run, channel.name().clone(), cursors[*index]))
            .collect()
    }

    pub(super) fn channels(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.0.iter().map(|(_, channel)| channel)
    }
}

fn is_kept(draft: &Draft) -> bool {
    draft.kind == Kind::Data && draft.keep.is_stored()
}

impl Runs {
    /// What has to be marked with the durable messages of a run.
    pub(super) fn marks(&self, cell: &RunCell, outgoing: &[Outgoing]) -> Marks {
        let mut marks = Marks::default();
        for (index, Outgoing { channel, draft }) in outgoing.iter().enumerate() {
            let is_new = is_kept(draft)
                && self.0.frames.mark(channel.is_followed())
                && !marks.channels().any(|known| Arc::ptr_eq(known, channel))
                && !cell.published().has_marked(channel.name());
            if is_new {
                marks.0.push((index, Arc::clone(channel)));
            }
        }
        marks
    }

    /// Whether messages from outside, said to be of a run, have to mark their channel. Only runs that are there and go on can: they take
    /// their marks with them when they go.
    pub(crate) async fn marks_from_outside(
        &self,
        run: RunId,
        channel: &Channel,
        mut drafts: impl Iterator<Item = &Draft>,
    ) -> Result<bool, StoreError> {
        if !drafts.any(is_kept) || !self.0.frames.mark(channel.is_followed()) {
            return Ok(false);
        }
        if let Some(cell) = self.in_memory(run) {
            let is_over = cell.lock().run.row.phase.is_final();
            return Ok(!is_over && !cell.published().has_marked(channel.name()));
        }
        let row = self.0.store.run_row(run).await?;
        Ok(row.is_some_and(|row| !row.phase.is_final()))
    }

    /// A message from outside has marked its channel.
    pub(crate) fn on_marked_from_outside(&self, run: RunId, channel: &Arc<Channel>) {
        if let Some(cell) = self.in_memory(run) {
            self.on_marked(&cell, channel);
        }
    }

    /// The store knows that a run has published on a channel; those who ask for the channel's runs hear of this one.
    pub(super) fn on_marked(&self, cell: &RunCell, channel: &Arc<Channel>) {
        cell.published().on_marked(channel.name().clone());
        if channel.is_followed() {
            let row = cell.lock().run.row.clone();
            self.introduce(&row, &cell.event, channel);
        }
    }

    /// The run, if it is in memory.
    pub(super) fn in_memory(&self, id: RunId) -> Option<Arc<RunCell>> {
        let cells = self.0.cells.lock();
        cells.get(&id).and_then(|once| once.get().map(Arc::clone))
    }
}
