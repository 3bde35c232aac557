//! Where pages of npm `inngest` are told of runs. Pure.

/// Which channels get a frame of kind `run` when a run has ended. A page of npm `inngest` closes for good at such a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunFrames {
    /// None, whatever a token names.
    Off,
    /// Those that are named after the run; and, for connections whose token names the topic `$run`, those where it has published.
    #[default]
    Own,
    /// Those too on which the run has published what is kept.
    All,
}

impl RunFrames {
    /// Whether the store has to know that a run has published on a channel, for the run's end. What is not durable and comes from a
    /// function in this process is known in any case, as a rollback may need it.
    pub(super) fn mark(self, is_followed: bool) -> bool {
        match self {
            Self::Off => false,
            Self::Own => is_followed,
            Self::All => true,
        }
    }
}
