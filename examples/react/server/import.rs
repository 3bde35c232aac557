//! An import of orders, batch by batch: how far it is, which rows it refuses, and what it comes to.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::prelude::*;

/// Rows of one step. A run has at most 1,000 steps.
const BATCH: usize = 20;
const MOST_ROWS: usize = 10_000;

#[derive(Event, Serialize, Deserialize)]
#[event("orders/uploaded")]
pub(crate) struct Upload {
    pub(crate) job: String,
    /// CSV with a header: `order`, `email`, `amount`.
    pub(crate) csv: String,
}

/// One import.
#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("import:{job}")]
pub(crate) enum Import {
    #[topic(keep = "latest")]
    Progress { rows: usize, total: usize },
    /// A row that is not taken.
    Refused { line: u64, reason: String },
    /// The end, once.
    #[topic(keep = "latest")]
    Summary(Totals),
}

/// What was taken in.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) orders: usize,
    pub(crate) refused: usize,
    /// The sum of all amounts, in cents.
    pub(crate) cents: u64,
}

/// A row as it stands in the file.
#[derive(Deserialize)]
struct Row {
    order: String,
    email: String,
    amount: String,
}

/// Refuses what cannot be imported at all, before there is a run.
pub(crate) fn check(csv: &str) -> Result<(), String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?;
    let missing = ["order", "email", "amount"]
        .into_iter()
        .find(|name| !header.iter().any(|found| found == *name));
    if let Some(name) = missing {
        return Err(format!(
            "the first line has no column `{name}`; begin with order,email,amount"
        ));
    }
    match reader.records().count() {
        0 => Err("there is no row below the first line".to_owned()),
        rows if rows > MOST_ROWS => Err(format!(
            "{rows} rows are more than the {MOST_ROWS} of one import; split the file"
        )),
        _ => Ok(()),
    }
}

/// The body adds up what its steps have recorded, so it comes to the same however often it runs again.
pub(crate) async fn import(ctx: Ctx<Upload>, pace: Duration) -> Result<Totals, Error> {
    let import = Import::at(&ctx.event.job);
    let mut reader = csv::Reader::from_reader(ctx.event.csv.as_bytes());
    let rows: Vec<_> = reader.deserialize::<Row>().collect();
    let (total, mut done, mut totals) = (rows.len(), 0, Totals::default());
    for (number, batch) in rows.chunks(BATCH).enumerate() {
        let (ctx, import) = (&ctx, &import);
        let counted: Totals = ctx
            .step(format!("batch-{}", number + 1))
            .run(|| async move {
                // A database would work here.
                tokio::time::sleep(8 * pace).await;
                take(ctx, import, done, batch).await
            })
            .await?;
        done += batch.len();
        totals.orders += counted.orders;
        totals.refused += counted.refused;
        totals.cents += counted.cents;
        ctx.step(format!("progress-{}", number + 1))
            .publish(import, Import::Progress { rows: done, total })
            .await?;
    }
    ctx.step("summary")
        .publish(&import, Import::Summary(totals.clone()))
        .await?;
    Ok(totals)
}

async fn take(
    ctx: &Ctx<Upload>,
    import: &stepcast::ChannelAt<Import>,
    before: usize,
    batch: &[Result<Row, csv::Error>],
) -> Result<Totals, Error> {
    let mut totals = Totals::default();
    for (at, row) in batch.iter().enumerate() {
        match row.as_ref().map_err(ToString::to_string).and_then(cents) {
            Ok(cents) => {
                totals.orders += 1;
                totals.cents += cents;
            }
            Err(reason) => {
                totals.refused += 1;
                // The header is line 1.
                let line = (before + at + 2) as u64;
                ctx.publish(import, Import::Refused { line, reason })
                    .await?;
            }
        }
    }
    Ok(totals)
}

/// What an order is worth, if it is one.
fn cents(row: &Row) -> Result<u64, String> {
    let Row {
        order,
        email,
        amount,
    } = row;
    if order.is_empty() {
        return Err("it has no order number".to_owned());
    }
    if !email.contains('@') {
        return Err(format!("`{email}` is not an e-mail address"));
    }
    let bad = || format!("`{amount}` is not an amount; write it as 12.50");
    let (whole, part) = amount.split_once('.').unwrap_or((amount, "00"));
    if part.len() != 2 {
        return Err(bad());
    }
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| bad());
    number(whole)?
        .checked_mul(100)
        .and_then(|cents| cents.checked_add(number(part).ok()?))
        .ok_or_else(bad)
}
