//! One channel as a shard sees it: how far the shard has come, and who is there with it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use stepcast_engine::hub::{Channel, Watch, WatchGuard};
use stepcast_protocol::{ChannelName, Cursor, Epoch, TopicName};
use tokio::{sync::Notify, time::Instant};

use super::{connection::Connection, dialect::Dialect};

/// Sorted, without repetition.
pub(crate) type Topics = Arc<[TopicName]>;

/// The topics in the form in which equal sets are equal.
pub(crate) fn topic_set(topics: impl IntoIterator<Item = TopicName>) -> Topics {
    let mut topics: Vec<_> = topics.into_iter().collect();
    topics.sort_unstable();
    topics.dedup();
    topics.into()
}

/// Which channels have more to see, and how the shard learns of it.
#[derive(Default)]
pub(super) struct Dirty {
    feeds: Mutex<Vec<u64>>,
    pub(super) some: Notify,
}

impl Dirty {
    /// The channels that were marked since the last call, each once.
    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.feeds.lock())
    }
}

/// A channel's flag. It stands in the list at most once, however much is published.
pub(super) struct Mark {
    feed: u64,
    is_set: AtomicBool,
    dirty: Arc<Dirty>,
}

impl Mark {
    pub(super) fn set(&self) {
        if !self.is_set.swap(true, Ordering::AcqRel) {
            self.dirty.feeds.lock().push(self.feed);
            self.dirty.some.notify_one();
        }
    }

    /// Before looking at the channel, so that what comes afterwards marks it again.
    pub(super) fn clear(&self) {
        self.is_set.store(false, Ordering::Release);
    }
}

impl Watch for Mark {
    fn on_visible(&self) {
        self.set();
    }
}

/// A channel with its readers in this shard.
pub(super) struct Feed {
    pub(super) id: u64,
    pub(super) channel: Arc<Channel>,
    pub(super) mark: Arc<Mark>,
    /// Where the members of all groups are.
    pub(super) cursor: Cell<Cursor>,
    /// Told when the cursor moves.
    pub(super) moved: Notify,
    /// When members were last written to.
    pub(super) delivered_at: Cell<Instant>,
    /// Whether the last turn had several messages, and all there were.
    pub(super) in_bursts: Cell<bool>,
    /// The life of the store in which the members' places are.
    pub(super) life: Cell<Epoch>,
    groups: RefCell<Vec<Rc<Group>>>,
    subscriptions: Cell<usize>,
    _watch: WatchGuard,
}

/// Readers of the same topics in the same dialect that are where the feed is.
pub(super) struct Group {
    pub(super) dialect: Dialect,
    pub(super) topics: Topics,
    pub(super) members: RefCell<Vec<Rc<Connection>>>,
    /// Counts deliveries: who was a member in an earlier turn and has not been served in this one is still at `served_from`.
    pub(super) turn: Cell<u32>,
    pub(super) served_from: Cell<Cursor>,
}

impl Feed {
    /// The group of these topics.
    pub(super) fn group(&self, topics: &Topics, dialect: Dialect) -> Rc<Group> {
        let mut groups = self.groups.borrow_mut();
        let is_it = |group: &&Rc<Group>| group.dialect == dialect && group.topics == *topics;
        if let Some(group) = groups.iter().find(is_it) {
            return Rc::clone(group);
        }
        groups.retain(|group| Rc::strong_count(group) > 1 || !group.members.borrow().is_empty());
        let group = Rc::new(Group {
            dialect,
            topics: Arc::clone(topics),
            members: RefCell::default(),
            turn: Cell::new(0),
            served_from: Cell::new(self.cursor.get()),
        });
        groups.push(Rc::clone(&group));
        group
    }

    /// How many are where the feed is.
    pub(super) fn members(&self) -> usize {
        let groups = self.groups.borrow();
        groups
            .iter()
            .map(|group| group.members.borrow().len())
            .sum()
    }

    pub(super) fn groups(&self) -> Vec<Rc<Group>> {
        self.groups.borrow().clone()
    }

    /// Every member has seen everything up to here.
    pub(super) fn move_to(&self, cursor: Cursor) {
        self.cursor.set(cursor);
        self.moved.notify_waiters();
    }
}

impl Group {
    /// Takes the members out to be served; they come back one by one.
    pub(super) fn begin_turn(&self, from: Cursor) -> Vec<Rc<Connection>> {
        self.turn.set(self.turn.get().wrapping_add(1));
        self.served_from.set(from);
        self.members.take()
    }
}

/// The feeds of a shard.
#[derive(Default)]
pub(super) struct Feeds {
    by_name: HashMap<ChannelName, Rc<Feed>>,
    by_id: HashMap<u64, Rc<Feed>>,
    next_id: u64,
}

impl Feeds {
    pub(super) fn get(&self, id: u64) -> Option<Rc<Feed>> {
        self.by_id.get(&id).map(Rc::clone)
    }

    /// How many read a channel.
    pub(super) fn readers(&self, channel: &ChannelName) -> usize {
        let feed = self.by_name.get(channel);
        feed.map_or(0, |feed| feed.subscriptions.get())
    }

    /// The channel's feed, for one more subscription.
    pub(super) fn enter(&mut self, channel: &Arc<Channel>, dirty: &Arc<Dirty>) -> Rc<Feed> {
        let feed = match self.by_name.get(channel.name()) {
            Some(feed) => Rc::clone(feed),
            None => self.open(channel, dirty),
        };
        feed.subscriptions.set(feed.subscriptions.get() + 1);
        feed
    }

    /// One subscription less; the last one takes the feed with it.
    pub(super) fn exit(&mut self, feed: &Feed) {
        let left = feed.subscriptions.get() - 1;
        feed.subscriptions.set(left);
        if left == 0 {
            self.by_name.remove(feed.channel.name());
            self.by_id.remove(&feed.id);
        }
    }

    fn open(&mut self, channel: &Arc<Channel>, dirty: &Arc<Dirty>) -> Rc<Feed> {
        let id = self.next_id;
        self.next_id += 1;
        let mark = Arc::new(Mark {
            feed: id,
            is_set: AtomicBool::new(false),
            dirty: Arc::clone(dirty),
        });
        let watch = channel.watch(Arc::<Mark>::clone(&mark));
        let visible = channel.visible();
        let feed = Rc::new(Feed {
            id,
            channel: Arc::clone(channel),
            mark,
            cursor: Cell::new(visible),
            moved: Notify::new(),
            delivered_at: Cell::new(Instant::now()),
            in_bursts: Cell::new(false),
            life: Cell::new(visible.epoch),
            groups: RefCell::default(),
            subscriptions: Cell::new(0),
            _watch: watch,
        });
        self.by_name
            .insert(channel.name().clone(), Rc::clone(&feed));
        self.by_id.insert(id, Rc::clone(&feed));
        feed
    }
}
