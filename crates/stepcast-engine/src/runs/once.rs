//! Runs that start at most once for what their function makes of their event. The store remembers that like the key of an event, of a name
//! that no event has; a run whose key is taken is left out of the commit, which goes on without it.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use stepcast_protocol::{Event, EventId, EventName, FunctionId, Timestamp, limits};

use crate::store::{Expect, Write};

/// Functions, and keys for which they are not to be started.
pub(super) type Taken = BTreeSet<(FunctionId, String)>;

/// A key under which a function is started once.
#[derive(Debug, Clone)]
pub(super) struct Once {
    pub(super) function: FunctionId,
    pub(super) key: String,
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
        };
        Some(Self {
            function: function.clone(),
            key,
            marker: Arc::new(marker),
            now,
        })
    }

    pub(super) fn is(&self, marker: EventId) -> bool {
        self.marker.id == marker
    }

    pub(super) fn taken(&self) -> (FunctionId, String) {
        (self.function.clone(), self.key.clone())
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
