//! What the engine last said of whether it takes new work, for a moment: whoever asks often costs the store no more than that.

use std::time::Duration;

use stepcast_engine::{Engine, NotReady};
use tokio::{sync::Mutex, time::Instant};

/// How long an answer counts.
const FRESH: Duration = Duration::from_millis(100);

/// The last answer. Those who ask while it is being asked for wait for the same one.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Result<(), NotReady>)>>);

impl Readiness {
    /// Whether the engine takes new work.
    pub(crate) async fn of(&self, engine: &Engine) -> Result<(), NotReady> {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = engine.readiness().await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}
