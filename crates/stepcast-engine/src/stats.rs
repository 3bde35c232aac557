//! What the engine has done and holds, for those who watch over it: plain values, read at one moment. It knows no exporter.

use crate::{
    histogram::Distribution,
    store::{StoreStats, Verb},
};

/// What an engine has done since its process started, and holds at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineStats {
    /// By function, in the order of ids; at last, the functions beyond [`limits::COUNTED_FUNCTIONS`](stepcast_protocol::limits::COUNTED_FUNCTIONS).
    pub functions: Vec<FunctionStats>,
    /// Steps that have ended.
    pub steps: StepStats,
    /// Runs in memory, with those that only wait.
    pub runs_in_memory: usize,
    /// Timers in memory; later ones may be in the store only.
    pub timers: usize,
    /// Steps and runs that wait for an event or a signal.
    pub event_waits: usize,
    /// Channels in memory.
    pub channels: usize,
    /// Bytes of the messages that channels hold in memory, as of at most a second ago.
    pub tail_bytes: usize,
    /// Bytes of messages that were accepted and are not written yet.
    pub unwritten_bytes: usize,
    /// What the store does.
    pub store: StoreStats,
}

/// The runs of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionStats {
    /// Its id; `other` for all that are not counted by themselves.
    pub function: String,
    /// Runs that were executed for the first time.
    pub started: u64,
    /// Runs that have completed.
    pub completed: u64,
    /// Runs that have failed for good.
    pub failed: u64,
    /// Runs that were cancelled.
    pub cancelled: u64,
    /// Runs that have a place, and execute or wait in it.
    pub running: usize,
    /// Runs that wait for a place, as far as they are in memory.
    pub queued: usize,
    /// Whether the store may have more of them.
    pub has_more_queued: bool,
}

/// Steps that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepStats {
    /// For each verb, milliseconds from the first attempt to the commit of the result.
    pub millis: Vec<(Verb, Distribution)>,
    /// Failed attempts that were followed by another one.
    pub retries: u64,
}
