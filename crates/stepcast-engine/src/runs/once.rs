//! Runs that start at most once for what their function makes of their event. The store remembers that like the key of an event, of a name
//! that no event has; a run whose key is taken is left out of the commit, which goes on without it.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use stepcast_protocol::{Event, EventId, EventName, FunctionId, Timestamp, event::Extras, limits};

use crate::store::{Expect, Write};

/// A function, and what it is started for.
pub(super) type Key = (FunctionId, String);

/// Functions, and keys for which they are not to be started.
pub(super) type Taken = BTreeSet<Key>;

/// A key under which a function is started once.
#[derive(Debug, Clone)]
pub(super) struct Once {
    key: Key,
    marker: Arc<Event>,
    now: Timestamp,
}

impl Once {
    /// The id is new, and says which of several keys of a commit is taken. Nothing for a function whose id is too long for it.
    pub(super) fn new(
        id: EventId,
        function: &FunctionId,
        key: String,
        now: Timestamp,
    ) -> Option<Self> {
        let name = EventName::parse(format!("inngest/once:{function}")).ok()?;
        let marker = Event {
            id,
            name,
            data: Bytes::new(),
            key: Some(key.clone()),
            at: now,
            extras: Extras::default(),
        };
        Some(Self {
            key: (function.clone(), key),
            marker: Arc::new(marker),
            now,
        })
    }

    /// By which a commit says that the key is taken.
    pub(super) fn marker(&self) -> EventId {
        self.marker.id
    }

    pub(super) fn key(&self) -> Key {
        self.key.clone()
    }

    pub(super) fn expect(&self) -> Expect {
        Expect::EventIsNew(Box::new(Event::clone(&self.marker)), self.now)
    }

    pub(super) fn write(&self) -> Write {
        Write::EventKey(
            Arc::clone(&self.marker),
            self.now + limits::IDEMPOTENCY_WINDOW,
        )
    }
}
