//! `sleep` and `sleep_until`: waits that survive restarts.

use std::time::Duration;

use stepcast_engine::store::Verb;
use stepcast_protocol::Timestamp;

use super::Step;
use crate::{error::Error, execution::Next};

impl Step {
    /// Sleeps for a time. The end is recorded: after a restart only what is left is slept.
    ///
    /// # Errors
    /// `step_reused` and `step_changed`.
    pub async fn sleep(self, duration: Duration) -> Result<(), Error> {
        let until = self.execution.lease.now() + duration;
        self.sleep_until(until).await
    }

    /// Sleeps until a time; one that has passed ends at once. Takes a [`Timestamp`], a [`SystemTime`](std::time::SystemTime) or a `jiff`
    /// timestamp.
    ///
    /// # Errors
    /// `step_reused` and `step_changed`.
    pub async fn sleep_until(self, until: impl Into<Timestamp> + Send) -> Result<(), Error> {
        let until = until.into();
        let mut claim = self.claim(Verb::Sleep, "")?;
        loop {
            match claim.next().await {
                Next::Result(result) => return result.map(|_| ()),
                Next::Execute => {
                    claim.begin().await;
                    claim.report(|execution, key| execution.lease.step_sleeps(key, until));
                }
            }
        }
    }
}
