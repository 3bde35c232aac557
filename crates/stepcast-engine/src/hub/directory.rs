//! Which channels are in memory. A channel is there once or not at all: loading is shared, and one leaves only when nobody holds it,
//! nothing of it waits to be written and its last number is stored.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use stepcast_protocol::{ChannelName, Cursor, Offset, Timestamp, limits};
use tokio::sync::OnceCell;

use super::{channel::Channel, log::ChannelLog, segments::Segments};
use crate::store::{Batch, Store, StoreError, StoreExt, Urgency, Write};

/// How long a channel that nobody uses stays in memory.
const IDLE: Duration = Duration::from_secs(30);
/// How many channels may be in memory before idle ones leave at once.
const CHANNELS: usize = 20_000;
const SHARDS: usize = 64;

/// In the order of names, so that what is done to all channels is done in the same order each time.
type Shard = BTreeMap<ChannelName, Arc<OnceCell<Arc<Channel>>>>;

pub(super) struct Directory {
    shards: Vec<Mutex<Shard>>,
    segments: Segments,
}

impl Default for Directory {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self {
            shards,
            segments: Segments::default(),
        }
    }
}

impl Directory {
    fn shard(&self, name: &ChannelName) -> &Mutex<Shard> {
        // Names that meet in one shard on purpose cost whoever chose them a shared lock, nothing more.
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let hash = hasher.finish();
        &self.shards[usize::try_from(hash % SHARDS as u64).expect("the number of shards fits")]
    }

    pub(super) async fn get(
        &self,
        name: &ChannelName,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<Arc<Channel>, StoreError> {
        let cell = {
            let mut shard = self.shard(name).lock();
            match shard.get(name) {
                Some(cell) => Arc::clone(cell),
                None => Arc::clone(shard.entry(name.clone()).or_default()),
            }
        };
        if let Some(channel) = cell.get() {
            return Ok(Arc::clone(channel));
        }
        let load = async || {
            let channel = load(name, store, now).await?;
            self.segments.add(&channel);
            Ok(channel)
        };
        cell.get_or_try_init(load).await.map(Arc::clone)
    }

    /// Channels in memory whose names have this segment.
    pub(super) fn named_after(&self, segment: &str) -> Vec<Arc<Channel>> {
        self.segments.of(segment)
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// The channel, if it is in memory.
    pub(super) fn find(&self, name: &ChannelName) -> Option<Arc<Channel>> {
        let shard = self.shard(name).lock();
        shard.get(name).and_then(|cell| cell.get().map(Arc::clone))
    }

    /// Channels in memory, without those that are being loaded.
    pub(super) fn loaded(&self) -> Vec<Arc<Channel>> {
        let of_shard = |shard: &Mutex<Shard>| -> Vec<_> {
            shard
                .lock()
                .values()
                .filter_map(|cell| cell.get().map(Arc::clone))
                .collect()
        };
        self.shards.iter().flat_map(of_shard).collect()
    }

    /// Lets go of idle channels and of old messages; says how many bytes channels held before.
    pub(super) fn sweep(&self, store: &dyn Store, now: Timestamp) -> usize {
        self.segments.sweep();
        let crowded = self.len() > CHANNELS;
        let mut bytes = 0;
        for shard in &self.shards {
            shard.lock().retain(|_, cell| match cell.get() {
                None => Arc::strong_count(cell) > 1,
                Some(channel) => {
                    // With the shard locked nobody can come to hold it who does not hold it now.
                    let held = Arc::strong_count(cell) > 1 || Arc::strong_count(channel) > 1;
                    let mut state = channel.state();
                    bytes += state.log.tail_bytes();
                    let idle = crowded || now.since(state.used_at) >= IDLE;
                    if held || !idle || state.is_watched() || !state.log.is_settled() {
                        return true;
                    }
                    if let Some(head) = state.log.head_to_store() {
                        // It leaves at a later sweep, when its number is safe.
                        store_head(channel, head, store);
                        return true;
                    }
                    bytes -= state.log.tail_bytes();
                    state.log.trim(0);
                    false
                }
            });
        }
        if bytes > limits::TAIL_BYTES {
            self.loaded().iter().for_each(|channel| {
                channel
                    .state()
                    .log
                    .trim(limits::TAIL_BYTES_PER_CHANNEL / 16)
            });
        }
        bytes
    }

    pub(super) async fn store_heads(&self, store: &dyn Store) {
        let heads: Vec<_> = self
            .loaded()
            .iter()
            .filter_map(|channel| {
                channel
                    .state()
                    .log
                    .head_to_store()
                    .map(|head| Write::Head(channel.name().clone(), head))
            })
            .collect();
        for heads in heads.chunks(limits::PAGE_ROWS) {
            if let Err(error) = store.commit(Batch::of(heads.to_vec())).await {
                tracing::warn!(%error, "channel heads could not be stored; readers may be told of a gap");
            }
        }
    }

    pub(super) async fn restart(
        &self,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let of_shard = |shard: &Mutex<Shard>| -> Vec<_> {
            let cells = shard.lock();
            let cells = cells.iter();
            cells
                .map(|(name, cell)| (name.clone(), Arc::clone(cell)))
                .collect()
        };
        let cells: Vec<_> = self.shards.iter().flat_map(of_shard).collect();
        for (name, cell) in cells {
            // One that is being loaded may have been read before the store was reopened.
            let channel = cell.get_or_try_init(|| load(&name, store, now)).await?;
            channel.restart(stored_log(&name, store).await?);
        }
        Ok(())
    }
}

async fn load(
    name: &ChannelName,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Arc<Channel>, StoreError> {
    let log = stored_log(name, store).await?;
    Ok(Arc::new(Channel::new(name.clone(), log, now)))
}

/// The log as the store has it.
async fn stored_log(name: &ChannelName, store: &dyn Store) -> Result<ChannelLog, StoreError> {
    let epoch = store.epoch();
    Ok(match store.channel(name.clone()).await? {
        Some(row) => ChannelLog::new(epoch, row.head),
        None => ChannelLog::empty(epoch, Offset(store.offset_floor().await?)),
    })
}

fn store_head(channel: &Arc<Channel>, head: Cursor, store: &dyn Store) {
    let write = Write::Head(channel.name().clone(), head);
    let batch = Batch {
        writes: vec![write],
        urgency: Urgency::Soon,
        ..Batch::default()
    };
    let channel = Arc::clone(channel);
    store.submit(
        batch,
        Box::new(move |result| {
            if result.is_ok() {
                channel.state().log.on_head_stored(head);
            }
        }),
    );
}
