//! Functions that a time starts. Each time starts each of its functions once, however often the process is started again or the function
//! registered anew: the event that says so has an id that is made of both. Times at which no process ran start nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use stepcast_protocol::{
    Event, EventId, FunctionId, Timestamp, event::Extras, sdk::internal::CronTick,
};
use tokio::sync::Notify;

use super::{
    Inner, Runs,
    function::{Cron, FunctionConfig},
};

/// How long nothing is looked for when nothing is due, so that a clock that is set is noticed.
const LOOK: Duration = Duration::from_secs(1);

/// When the functions that are known are started next.
#[derive(Default)]
pub(super) struct Crons {
    waiting: Mutex<BTreeMap<Key, Waiting>>,
    changed: Arc<Notify>,
}

/// A function, and which of its schedules.
type Key = (FunctionId, usize);

/// A function that waits for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    function: FunctionId,
    cron: Cron,
    tick: Tick,
}

/// One time at which a function is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tick {
    /// The time of the schedule.
    scheduled_at: Timestamp,
    /// The same with its delay.
    fire_at: Timestamp,
}

impl Tick {
    /// The first time whose delay is not over yet.
    fn next(function: &FunctionId, cron: &Cron, now: Timestamp) -> Option<Self> {
        let longest = cron
            .jitter
            .map_or(Duration::ZERO, |jitter| jitter.longest());
        let millis = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
        let mut scheduled_at = Timestamp::from_millis(now.as_millis().saturating_sub(millis));
        loop {
            scheduled_at = cron.schedule.next_after(scheduled_at)?;
            let tick = Self::of(function, cron, scheduled_at);
            if tick.fire_at > now {
                return Some(tick);
            }
        }
    }

    /// The delay is the same however often it is asked for.
    fn of(function: &FunctionId, cron: &Cron, scheduled_at: Timestamp) -> Self {
        let delay = cron.jitter.map_or(Duration::ZERO, |jitter| {
            let [a, b, c, d, ..] = hash(function, cron, scheduled_at);
            jitter.delay(f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX))
        });
        Self {
            scheduled_at,
            fire_at: scheduled_at + delay,
        }
    }
}

fn hash(function: &FunctionId, cron: &Cron, at: Timestamp) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in [function.as_str(), cron.schedule.as_str()] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.update(at.as_millis().to_le_bytes());
    hash.finalize().into()
}

impl Crons {
    /// A function is known, or may be another one now. What is due of a schedule that it had before stays due.
    pub(super) fn set(&self, function: &FunctionConfig, now: Timestamp) {
        let mut waiting = self.waiting.lock();
        let before: Vec<_> = waiting
            .extract_if(.., |_, waits| waits.function == function.id)
            .collect();
        for (n, cron) in function.crons.iter().enumerate() {
            let is_same = |(key, waits): &&(Key, Waiting)| key.1 == n && waits.cron == *cron;
            let known = before.iter().find(is_same).map(|(_, waits)| waits.tick);
            if let Some(tick) = known.or_else(|| Tick::next(&function.id, cron, now)) {
                let waits = Waiting {
                    function: function.id.clone(),
                    cron: cron.clone(),
                    tick,
                };
                waiting.insert((function.id.clone(), n), waits);
            }
        }
        drop(waiting);
        self.changed.notify_one();
    }

    pub(super) fn remove(&self, function: &FunctionId) {
        self.waiting
            .lock()
            .retain(|_, waits| waits.function != *function);
    }

    /// What is due, and when to look again.
    fn due(&self, now: Timestamp) -> (Vec<Waiting>, Option<Timestamp>) {
        let waiting = self.waiting.lock();
        let due = waiting.values().filter(|waits| waits.tick.fire_at <= now);
        let due = due.cloned().collect();
        let later = waiting.values().map(|waits| waits.tick.fire_at);
        (due, later.filter(|at| *at > now).min())
    }

    /// A time has started its function.
    fn fired(&self, fired: &Waiting, now: Timestamp) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, waits| {
            if waits != fired {
                return true;
            }
            match Tick::next(&waits.function, &waits.cron, now.max(waits.tick.fire_at)) {
                Some(tick) => {
                    waits.tick = tick;
                    true
                }
                None => false,
            }
        });
    }
}

/// Starts functions at their times, until the engine is gone. Holds it only while it looks.
pub(super) async fn keep_crons(runs: Weak<Inner>) {
    loop {
        let Some(inner) = runs.upgrade() else { return };
        let runs = Runs(inner);
        let (due, later) = runs.0.crons.due(runs.0.clock.now());
        for waiting in due {
            runs.on_tick(waiting).await;
        }
        let (clock, changed) = (runs.0.clock.clone(), Arc::clone(&runs.0.crons.changed));
        drop(runs);
        let at_its_time = async {
            match later {
                Some(at) => clock.wait_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = at_its_time => {}
            () = changed.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

impl Runs {
    async fn on_tick(&self, waiting: Waiting) {
        let Some(function) = self.0.registry.get(&waiting.function) else {
            return self.0.crons.remove(&waiting.function);
        };
        let event = tick_event(&waiting.function, &waiting.cron, waiting.tick);
        match self.commit_start(&function, event).await {
            Ok(()) => self.0.crons.fired(&waiting, self.0.clock.now()),
            Err(error) => {
                tracing::error!(function = %waiting.function, %error, "a function could not be started at its time; trying again");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// The event of a time: the same however often it is made.
fn tick_event(function: &FunctionId, cron: &Cron, tick: Tick) -> Event {
    let said = CronTick {
        cron: cron.schedule.as_str(),
        scheduled_at: tick.scheduled_at,
        fire_at: tick.fire_at,
    };
    let said = said.event();
    let millis = u64::try_from(tick.scheduled_at.as_millis()).unwrap_or_default();
    let mut random = [0; 16];
    random.copy_from_slice(&hash(function, cron, tick.scheduled_at)[16..]);
    Event {
        id: EventId::from_parts(millis, u128::from_be_bytes(random)),
        name: said.name,
        data: said.data.into(),
        key: said.key,
        at: tick.fire_at,
        extras: Extras::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Jitter, Schedule};

    fn cron(jitter: Option<u64>) -> Cron {
        Cron {
            schedule: Schedule::parse("* * * * *").unwrap(),
            jitter: jitter.map(|secs| Jitter::new(Duration::from_secs(secs)).unwrap()),
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    #[test]
    fn a_delay_that_is_not_over_is_waited_for_after_a_new_start_and_is_the_same() {
        let id = FunctionId::parse("f").unwrap();
        let tick = Tick::next(&id, &cron(None), at(60)).unwrap();
        assert_eq!((tick.scheduled_at, tick.fire_at), (at(120), at(120)));
        let cron = cron(Some(50));
        let first = Tick::next(&id, &cron, at(119)).unwrap();
        let tick = Tick::of(&id, &cron, at(120));
        assert!(tick.fire_at >= at(120) && tick.fire_at <= at(170));
        for now in [at(119), at(120)] {
            let next = Tick::next(&id, &cron, now).unwrap();
            if next.scheduled_at == at(120) {
                assert_eq!(next, tick);
            }
        }
        assert!(first.fire_at > at(119));
        let after = Tick::next(&id, &cron, tick.fire_at).unwrap();
        assert_eq!(after.scheduled_at, at(180));
    }

    #[test]
    fn the_event_of_a_time_is_the_same_and_another_for_each_function() {
        let (f, g) = (
            FunctionId::parse("f").unwrap(),
            FunctionId::parse("g").unwrap(),
        );
        let cron = cron(None);
        let tick = Tick::of(&f, &cron, at(120));
        assert_eq!(tick_event(&f, &cron, tick), tick_event(&f, &cron, tick));
        assert_ne!(
            tick_event(&f, &cron, tick).id,
            tick_event(&g, &cron, tick).id
        );
        assert_eq!(
            tick_event(&f, &cron, tick).key.as_deref(),
            Some("1970-01-01T00:02:00.000Z")
        );
    }
}
