//! What there is to say of the runs at one moment.

use std::collections::BTreeMap;

use stepcast_protocol::FunctionId;

use super::{Runs, lanes::Depth, tally::Counts};
use crate::stats::{FunctionStats, StepStats};

/// What functions are called that are not counted by themselves.
const OTHER: &str = "other";

impl Runs {
    /// By function, those that are not counted by themselves at last.
    pub(crate) fn function_stats(&self) -> Vec<FunctionStats> {
        let (known, others) = self.0.tallies.read();
        let depths = self.0.lanes.depths();
        by_function(known, others, depths)
    }

    /// Of the steps.
    pub(crate) fn step_stats(&self) -> StepStats {
        StepStats {
            millis: self.0.steps.took(),
            retries: self.0.steps.retries(),
        }
    }

    /// How many runs are in memory.
    pub(crate) fn count_in_memory(&self) -> usize {
        self.0.cells.lock().len()
    }

    /// How many timers are in memory.
    pub(crate) fn timers(&self) -> usize {
        self.0.timers.len()
    }

    /// How many wait for events and signals.
    pub(crate) fn event_waits(&self) -> usize {
        self.0.waits.len()
    }
}

fn by_function(
    known: BTreeMap<FunctionId, Counts>,
    others: Counts,
    depths: Vec<(FunctionId, Depth)>,
) -> Vec<FunctionStats> {
    let mut stats: BTreeMap<FunctionId, FunctionStats> = known
        .into_iter()
        .map(|(id, counts)| (id.clone(), counted(id.to_string(), counts)))
        .collect();
    let mut rest = counted(OTHER.to_owned(), others);
    for (id, depth) in depths {
        let stats = stats.get_mut(&id).unwrap_or(&mut rest);
        stats.running += depth.running;
        stats.queued += depth.queued;
        stats.has_more_queued |= depth.has_more;
    }
    // A function may be called so too; then they are one.
    if let Some(same) = stats.values_mut().find(|stats| stats.function == OTHER) {
        same.add(&rest);
        return stats.into_values().collect();
    }
    stats.into_values().chain([rest]).collect()
}

fn counted(function: String, counts: Counts) -> FunctionStats {
    let Counts {
        started,
        completed,
        failed,
        cancelled,
    } = counts;
    FunctionStats {
        function,
        started,
        completed,
        failed,
        cancelled,
        running: 0,
        queued: 0,
        has_more_queued: false,
    }
}

impl FunctionStats {
    fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.running += other.running;
        self.queued += other.queued;
        self.has_more_queued |= other.has_more_queued;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_added_to_their_functions_and_the_rest_to_the_others() {
        let id = |id: &str| FunctionId::parse(id).unwrap();
        let counts = |started| Counts {
            started,
            ..Counts::default()
        };
        let depth = |running| Depth {
            running,
            queued: 1,
            has_more: false,
        };
        let known = BTreeMap::from([(id("a"), counts(5)), (id("other"), counts(1))]);
        let depths = vec![(id("a"), depth(2)), (id("z"), depth(3))];
        let stats = by_function(known, counts(7), depths.clone());
        let shown: Vec<_> = stats
            .iter()
            .map(|stats| (&*stats.function, stats.started, stats.running))
            .collect();
        assert_eq!(shown, [("a", 5, 2), ("other", 8, 3)]);
        let stats = by_function(BTreeMap::new(), counts(0), depths);
        assert_eq!((stats.len(), stats[0].running, stats[0].queued), (1, 5, 2));
    }
}
