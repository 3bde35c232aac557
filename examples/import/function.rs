//! The durable function, its event and its channel.

use std::{path::PathBuf, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::prelude::*;

use crate::{
    output::Output,
    records::Place,
    source::{BadRow, Batch, Source},
};

/// Steps of one run are 1,000; one is for the summary.
pub(crate) const MOST_BATCHES: u64 = 999;

/// How many bad rows the summary names.
const NAMED_IN_SUMMARY: usize = 5;

/// One file into one table. All that the run needs is in it, so that a later process goes on with the same.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event("import/file")]
pub(crate) struct Import {
    pub(crate) id: String,
    pub(crate) source: Source,
    pub(crate) out: PathBuf,
    pub(crate) batch: u64,
}

/// What there is to see of one import.
#[derive(Channel, Serialize, Deserialize, JsonSchema, Debug)]
#[channel("import:{id}")]
pub(crate) enum Feed {
    /// How far it is.
    #[topic(keep = "latest")]
    Progress { rows: u64, total: u64, bad: u64 },
    /// A row that was not imported. One whose step ran twice, because of a crash, may be told twice.
    #[topic(keep = "log")]
    Log(BadRow),
    /// The end, once.
    Summary(Totals),
}

/// What came of it.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Rows read, bad ones too.
    pub(crate) rows: u64,
    pub(crate) imported: u64,
    pub(crate) bad: u64,
    /// The first bad rows; all of them are in the log.
    pub(crate) first_bad: Vec<BadRow>,
}

/// The result of a batch's step: what is added to the totals, and where the next batch begins.
#[derive(Serialize, Deserialize, Debug)]
struct Done {
    totals: Totals,
    next: Place,
}

/// The body only adds up results of steps, so it comes to the same however often it runs again.
pub(crate) async fn import(ctx: Ctx<Import>, pause: Duration) -> Result<Totals, Error> {
    let feed = Feed::at(&ctx.event.id);
    let import = Arc::new(ctx.event.clone());
    let mut place = import.source.start;
    let mut totals = Totals::default();
    let mut number = 0;
    while totals.rows < import.source.rows {
        number += 1;
        let before = &totals;
        let step = ctx.step(format!("batch-{number}")).run(|| async {
            tokio::time::sleep(pause).await;
            // SQLite and the file block, so they get a thread of their own.
            let work = Arc::clone(&import);
            let batch = tokio::task::spawn_blocking(move || write_batch(&work, place)).await??;
            tell(&ctx, &feed, before, &batch).await?;
            Ok(Done {
                totals: Totals::of(&batch),
                next: batch.next,
            })
        });
        let done = step.await?;
        place = done.next;
        totals.add(done.totals);
    }
    // Durable: one commit holds the step and the message, so no crash makes it two.
    let summary = Feed::Summary(totals.clone());
    ctx.step("summary").publish(&feed, summary).await?;
    Ok(totals)
}

/// The effect of a step, which may come twice: the same lines of the same file, put into the same place.
fn write_batch(import: &Import, from: Place) -> Result<Batch, Error> {
    let source = &import.source;
    // Offsets mean nothing in another file.
    if !source.state.still_holds(&source.file)? {
        let file = source.file.display();
        return Err(Error::msg(format!("`{file}` was changed during its import")).terminal());
    }
    let batch = source.batch(from, import.batch)?;
    if batch.next == from {
        let file = source.file.display();
        return Err(Error::msg(format!("`{file}` ended before its last row")));
    }
    Output::open(&import.out)?.replace(import, from, &batch)?;
    Ok(batch)
}

/// Not durable: seen at once, and told again when the step runs again.
async fn tell(
    ctx: &Ctx<Import>,
    feed: &stepcast::ChannelAt<Feed>,
    before: &Totals,
    batch: &Batch,
) -> Result<(), Error> {
    for bad in &batch.bad {
        ctx.publish(feed, Feed::Log(bad.clone())).await?;
    }
    let mut totals = before.clone();
    totals.add(Totals::of(batch));
    let progress = Feed::Progress {
        rows: totals.rows,
        total: ctx.event.source.rows,
        bad: totals.bad,
    };
    ctx.publish(feed, progress).await
}

impl Totals {
    fn of(batch: &Batch) -> Self {
        let (imported, bad) = (batch.rows.len() as u64, batch.bad.len() as u64);
        Self {
            rows: imported + bad,
            imported,
            bad,
            first_bad: batch.bad.iter().take(NAMED_IN_SUMMARY).cloned().collect(),
        }
    }

    fn add(&mut self, more: Self) {
        let Self {
            rows,
            imported,
            bad,
            first_bad,
        } = more;
        self.rows += rows;
        self.imported += imported;
        self.bad += bad;
        self.first_bad.extend(first_bad);
        self.first_bad.truncate(NAMED_IN_SUMMARY);
    }
}
