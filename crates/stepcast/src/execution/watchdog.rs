//! Says when user code blocks a thread, or waits for something that is none of the engine's business. A thread of its own, as the ones it
//! watches may be blocked.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use stepcast_protocol::{FunctionId, RunId};

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long one poll may take before it is logged.
const BLOCKED: Duration = Duration::from_secs(5);
/// How long a function may be unready with nothing of its context awaited.
const STRAY: Duration = Duration::from_secs(60);

/// One execution, as the watchdog sees it. Times are milliseconds since the watchdog's start; 0 means not so.
#[derive(Debug)]
pub(crate) struct Pulse {
    run: RunId,
    function: FunctionId,
    started: Instant,
    polling_since: AtomicU64,
    stray_since: AtomicU64,
}

impl Pulse {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// A poll is under way until the guard is dropped.
    pub(super) fn polling(self: &Arc<Self>) -> Polling {
        self.polling_since.store(self.now(), Ordering::Relaxed);
        Polling(Arc::clone(self))
    }

    /// Whether the function awaits anything of its context.
    pub(super) fn set_awaited(&self, awaited: bool) {
        if awaited {
            self.stray_since.store(0, Ordering::Relaxed);
        } else {
            let now = self.now();
            self.stray_since
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
                .ok();
        }
    }

    /// What is wrong for longer than a look ago, but no longer than two: so each thing is said once.
    fn alarm(&self) -> Option<&'static str> {
        let now = self.now();
        let just_passed = |since: &AtomicU64, bound: Duration| {
            let since = since.load(Ordering::Relaxed);
            let bound = u64::try_from(bound.as_millis()).expect("the bounds are small");
            let look = u64::try_from(LOOK.as_millis()).expect("the bounds are small");
            since != 0 && (bound..bound + look).contains(&now.saturating_sub(since))
        };
        if just_passed(&self.polling_since, BLOCKED) {
            return Some(
                "user code has blocked its thread for 5 s; move such work to tokio::task::spawn_blocking",
            );
        }
        just_passed(&self.stray_since, STRAY).then_some(
            "a function has waited 60 s for something that is not of its context; such waiting belongs into a step",
        )
    }
}

/// A poll under way.
pub(super) struct Polling(Arc<Pulse>);

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.polling_since.store(0, Ordering::Relaxed);
    }
}

/// Watches executions. Its thread ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    pulses: Arc<Mutex<Vec<Weak<Pulse>>>>,
    started: Instant,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let pulses = Arc::new(Mutex::new(Vec::new()));
        let watched = Arc::downgrade(&pulses);
        let watch = move || {
            while let Some(pulses) = watched.upgrade() {
                look(&pulses);
                drop(pulses);
                thread::sleep(LOOK);
            }
        };
        if let Err(error) = thread::Builder::new()
            .name("stepcast-watchdog".to_owned())
            .spawn(watch)
        {
            tracing::warn!(%error, "no thread for the watchdog: functions that block are not logged");
        }
        Self {
            pulses,
            started: Instant::now(),
        }
    }

    pub(crate) fn watch(&self, run: RunId, function: FunctionId) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            run,
            function,
            started: self.started,
            polling_since: AtomicU64::new(0),
            stray_since: AtomicU64::new(0),
        });
        self.pulses.lock().push(Arc::downgrade(&pulse));
        pulse
    }
}

fn look(pulses: &Mutex<Vec<Weak<Pulse>>>) {
    pulses.lock().retain(|pulse| {
        let Some(pulse) = pulse.upgrade() else {
            return false;
        };
        if let Some(alarm) = pulse.alarm() {
            tracing::warn!(run = %pulse.run, function = %pulse.function, alarm);
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_that_takes_long_is_said_once() {
        let watchdog = Watchdog {
            pulses: Arc::default(),
            started: Instant::now() - Duration::from_secs(100),
        };
        let run = RunId::from_parts(1, 1);
        let pulse = watchdog.watch(run, FunctionId::parse("f").unwrap());
        let polling = pulse.polling();
        assert_eq!(pulse.alarm(), None);
        pulse
            .polling_since
            .store(pulse.now() - 5_500, Ordering::Relaxed);
        assert!(pulse.alarm().unwrap().contains("blocked its thread"));
        pulse
            .polling_since
            .store(pulse.now() - 6_500, Ordering::Relaxed);
        assert_eq!(pulse.alarm(), None);
        drop(polling);
        assert_eq!(pulse.polling_since.load(Ordering::Relaxed), 0);
    }
}
