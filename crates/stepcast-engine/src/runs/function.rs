//! A function as the engine needs to know it: what starts it, and how many of its runs execute.

use stepcast_protocol::{Event, EventName, EventPattern, FunctionId, limits};

/// A function as the engine needs to know it.
#[derive(Debug, Clone)]
pub struct FunctionConfig {
    /// Its id.
    pub id: FunctionId,
    /// What starts it.
    pub triggers: Vec<Trigger>,
    /// How many of its runs execute at once.
    pub concurrency: usize,
    /// Whether those who watch a run see what its function returned.
    pub exposes_result: bool,
}

/// Which events start a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Their names.
    pub event: EventPattern,
}

impl FunctionConfig {
    /// A function with the default bounds, which these events start.
    #[must_use]
    pub fn new(id: FunctionId, triggers: Vec<EventName>) -> Self {
        Self {
            id,
            triggers: triggers.into_iter().map(Trigger::from).collect(),
            concurrency: limits::CONCURRENCY_PER_FUNCTION,
            exposes_result: false,
        }
    }

    /// Whether the event starts it.
    pub(super) fn is_started_by(&self, event: &Event) -> bool {
        let mut triggers = self.triggers.iter();
        triggers.any(|trigger| trigger.event.matches(&event.name))
    }
}

impl From<EventName> for Trigger {
    fn from(event: EventName) -> Self {
        let event = EventPattern::Name(event);
        Self { event }
    }
}
