//! What every backend must do, as tests that any of them can run.
//!
//! A backend gives a [`Place`]: somewhere to keep one database, which can be opened again after it was closed. [`CASES`] names
//! every case; each runs on a fresh place, on any tokio runtime, and panics where the contract is broken. Cases wait for facts,
//! never for time.

#![allow(
    clippy::unwrap_used,
    reason = "a conformance suite speaks by panicking"
)]

mod conditions;
mod lives;
mod logs;
mod order;
mod reads;
mod retention;
pub mod samples;
mod settling;
mod writes;

use std::sync::Arc;

use stepcast_protocol::Cursor;

use super::{Batch, BoxFuture, CommitError, Committed, MessageQuery, Store, StoreExt, Write};

/// Somewhere to keep one database, and how it differs from others.
pub trait Place: Send + Sync {
    /// Opens the database, made on the first call. The one before was closed or dropped.
    fn open(&self) -> Arc<dyn Store>;

    /// What a backup of it is.
    fn backup(&self) -> Backup {
        Backup::File
    }
}

/// What a backend makes of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backup {
    /// A file that is there afterwards.
    File,
    /// An error, as there is nothing to copy.
    Refused,
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What must be so.
    pub name: &'static str,
    run: fn(Box<dyn Place>) -> BoxFuture<'static, ()>,
}

impl Case {
    /// Runs the case on a fresh place.
    ///
    /// # Panics
    /// Where the backend breaks the contract.
    pub async fn run(&self, place: Box<dyn Place>) {
        (self.run)(place).await;
    }
}

/// Runs every case, each on a place of its own.
///
/// # Panics
/// Where the backend breaks the contract; the case is logged before.
pub async fn run_all(place: &dyn Fn() -> Box<dyn Place>) {
    for case in CASES {
        tracing::info!(case = case.name, "conformance");
        case.run(place()).await;
    }
}

macro_rules! cases {
    ($($module:ident::$case:ident,)*) => {
        /// Every case.
        pub const CASES: &[Case] = &[
            $(Case {
                name: stringify!($case),
                run: |place| Box::pin($module::$case(place)),
            },)*
        ];
    };
}

cases! {
    writes::a_batch_is_all_or_nothing,
    writes::a_poisoned_batch_fails_alone,
    writes::heads_never_fall,
    writes::voided_leases_are_queued,
    writes::queued_runs_without_a_timer_are_due,
    writes::rows_are_replaced,
    retention::what_ended_long_ago_goes,
    retention::forgotten_keys_go,
    retention::a_channel_stays_while_a_key_is_remembered,
    conditions::a_fence_holds_while_the_run_is_leased,
    conditions::a_condition_sees_the_batches_before_it,
    conditions::an_event_is_new_by_id_and_key,
    conditions::a_run_is_open_until_it_ends,
    conditions::a_publish_key_is_free_until_it_is_used,
    conditions::a_message_is_kept_until_it_goes,
    lives::a_store_says_whether_it_takes_work,
    lives::what_is_done_is_counted,
    order::completions_come_in_the_order_of_the_queue,
    order::concurrent_submitters_keep_their_order,
    order::a_completion_may_submit,
    order::a_completion_that_panics_hurts_nobody,
    order::reads_see_what_was_completed,
    reads::every_write_reads_back,
    reads::messages_are_paged_and_filtered,
    reads::a_page_is_bounded_in_bytes,
    reads::events_come_in_commit_order,
    reads::events_come_newest_first,
    reads::timers_come_in_order,
    reads::event_waits_know_their_place,
    reads::runs_are_found,
    reads::what_is_absent_is_nothing,
    logs::a_rollback_removes_what_it_voids_and_nothing_else,
    logs::a_trim_takes_one_topic_up_to_a_cursor,
    logs::a_page_and_its_trims_are_of_one_moment,
    logs::texts_of_a_run_become_one_message,
    logs::a_channel_goes_when_nothing_is_left_in_it,
    logs::the_newest_messages_are_found,
    logs::what_is_over_the_bounds_is_found,
    logs::what_is_kept_comes_in_commit_order,
    settling::the_first_message_of_a_run_on_a_channel_counts,
    settling::the_channels_of_a_run_are_found,
    settling::a_body_remembers_what_it_has_published,
    settling::what_no_commit_stands_behind_is_found,
    settling::what_bounds_take_of_an_open_attempt_is_remembered,
    settling::what_a_run_published_is_forgotten_with_it,
    lives::epochs_grow,
    lives::closing_keeps_everything,
    lives::a_closed_store_says_so,
    lives::a_backup_is_a_database,
}

/// Commits the writes as one batch.
async fn put(store: &Arc<dyn Store>, writes: Vec<Write>) -> Result<Committed, CommitError> {
    store.commit(Batch::of(writes)).await
}

/// All that is kept on a channel, in pages.
fn everything(name: &str) -> MessageQuery {
    MessageQuery {
        channel: samples::channel(name),
        after: Cursor::START,
        up_to: samples::cursor(u64::MAX, u64::MAX),
        topics: None,
        limit: usize::MAX,
    }
}

/// The offsets of what is kept on a channel.
async fn offsets(store: &Arc<dyn Store>, name: &str) -> Vec<u64> {
    let page = store.messages(everything(name)).await.unwrap().messages;
    page.iter().map(|message| message.cursor.offset.0).collect()
}
