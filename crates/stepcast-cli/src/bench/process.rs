//! What the server's process has used, as `/proc` tells. Elsewhere than on Linux nothing is known of it.

use std::{collections::BTreeMap, fs, time::Duration};

/// A process that is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pub(super) pid: u32,
}

/// CPU time up to a moment.
#[derive(Debug, Clone, Default)]
pub(super) struct CpuTime {
    /// Of the whole process, in steps of 10 ms.
    whole: Duration,
    /// Of each of its threads, in nanoseconds.
    threads: BTreeMap<u32, Duration>,
}

impl CpuTime {
    /// From an earlier moment to this one, as exactly as it can be known.
    pub(super) fn since(&self, earlier: &Self) -> Duration {
        let has_all = |thread| self.threads.contains_key(thread);
        if self.threads.is_empty() || !earlier.threads.keys().all(has_all) {
            // A thread has ended and taken its nanoseconds with it.
            return self.whole.saturating_sub(earlier.whole);
        }
        let before: Duration = earlier.threads.values().sum();
        let now: Duration = self.threads.values().sum();
        now.saturating_sub(before)
    }
}

impl Process {
    /// Nothing when there is no such process, or the system does not tell.
    pub(super) fn cpu(self) -> Option<CpuTime> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        Some(CpuTime {
            whole: whole(&stat)?,
            threads: self.threads().unwrap_or_default(),
        })
    }

    fn threads(self) -> Option<BTreeMap<u32, Duration>> {
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid)).ok()? {
            let thread = thread.ok()?;
            let id = thread.file_name().to_str()?.parse().ok()?;
            let said = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let nanos = said.split(' ').next()?.parse().ok()?;
            threads.insert(id, Duration::from_nanos(nanos));
        }
        Some(threads)
    }

    /// Bytes of memory that it has at this moment.
    pub(super) fn resident(self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// Bytes of memory that it has had at most.
    pub(super) fn peak(self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    fn memory(self, what: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(what))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1_024)
    }
}

/// The user and system time of `/proc/<pid>/stat`. Linux shows programs a hundred ticks a second on every processor it runs on.
fn whole(stat: &str) -> Option<Duration> {
    // The program's name is in parentheses, and may have any character in it.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis((user + system) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 34 0 0 20 0 1 0 5 6 7";
        assert_eq!(whole(stat), Some(Duration::from_millis(460)));
        assert_eq!(whole("7 (a"), None);
    }

    #[test]
    fn nanoseconds_count_unless_a_thread_has_ended() {
        let at = |whole, threads: &[(u32, u64)]| CpuTime {
            whole: Duration::from_millis(whole),
            threads: threads
                .iter()
                .map(|(id, nanos)| (*id, Duration::from_nanos(*nanos)))
                .collect(),
        };
        let begin = at(10, &[(1, 100), (2, 200)]);
        let grown = at(20, &[(1, 150), (2, 200), (3, 7)]);
        assert_eq!(grown.since(&begin), Duration::from_nanos(57));
        let ended = at(30, &[(1, 900)]);
        assert_eq!(ended.since(&begin), Duration::from_millis(20));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_can_be_looked_at() {
        let here = Process {
            pid: std::process::id(),
        };
        assert!(here.resident().unwrap() > 100_000);
        assert!(here.peak() >= here.resident());
        assert!(!here.cpu().unwrap().threads.is_empty());
        assert!(Process { pid: u32::MAX }.cpu().is_none());
    }
}
