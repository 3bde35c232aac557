//! Time, chance and bounds of an engine.

use std::time::Duration;

use stepcast_protocol::{Bounds, limits};
use tokio::runtime::Handle;

use crate::{
    catalog::Catalog,
    clock::{Clock, Entropy},
    runs::{FunctionConfig, Home, RunFrames},
};

/// Time, chance and bounds of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) catalog: Catalog,
    pub(super) topic_bounds: Bounds,
    pub(super) runs_in_memory: usize,
    pub(super) retention: Duration,
    pub(super) run_frames: RunFrames,
    pub(super) home: Home,
    pub(super) apps: Vec<(String, Vec<FunctionConfig>)>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            entropy: Entropy::system(),
            catalog: Catalog::default(),
            topic_bounds: Bounds::default(),
            runs_in_memory: limits::RUNS_IN_MEMORY,
            retention: limits::RETENTION,
            run_frames: RunFrames::default(),
            home: Home::OwnThread,
            apps: Vec::new(),
        }
    }
}

impl EngineOptions {
    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Other random numbers than the system's.
    #[must_use]
    pub fn with_entropy(self, entropy: Entropy) -> Self {
        Self { entropy, ..self }
    }

    /// What is known of channels already; shared with whoever declares more.
    #[must_use]
    pub fn with_catalog(self, catalog: Catalog) -> Self {
        Self { catalog, ..self }
    }

    /// How long runs that have ended are kept, with their steps and events (7 days).
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        Self { retention, ..self }
    }

    /// Which channels tell pages of npm `inngest` that a run has ended ([`RunFrames::Own`]).
    #[must_use]
    pub fn with_run_frames(self, run_frames: RunFrames) -> Self {
        Self { run_frames, ..self }
    }

    /// How much is kept of topics that do not say it themselves ([`limits::LOG_MESSAGES`], [`limits::LOG_BYTES`],
    /// [`limits::LOG_AGE`]).
    #[must_use]
    pub fn with_topic_bounds(self, topic_bounds: Bounds) -> Self {
        Self {
            topic_bounds,
            ..self
        }
    }

    /// Runs what the engine does beside its functions (timers, loading, tidying) on this runtime instead of a thread of its own. Whoever
    /// blocks the runtime then blocks these, too. For tests and simulations that want everything on one thread.
    #[must_use]
    pub fn with_runtime(self, runtime: Handle) -> Self {
        Self {
            home: Home::Runtime(runtime),
            ..self
        }
    }

    /// The functions of an app that was known before, as [`Engine::register`](super::Engine::register) takes them. They are there before a
    /// run of the store goes on or ends, so that the ends that come first start their handlers as well.
    #[must_use]
    pub fn with_app(mut self, app: impl Into<String>, functions: Vec<FunctionConfig>) -> Self {
        self.apps.push((app.into(), functions));
        self
    }

    /// How many runs may have their function in memory ([`limits::RUNS_IN_MEMORY`]).
    #[must_use]
    pub fn with_runs_in_memory(self, runs_in_memory: usize) -> Self {
        Self {
            runs_in_memory,
            ..self
        }
    }
}
