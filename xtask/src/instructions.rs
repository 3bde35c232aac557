//! How many instructions the hot paths take, counted by Valgrind's callgrind and held against a baseline.
//!
//! Times differ from machine to machine and from minute to minute; instructions hardly do. `benches/instructions.rs` does each thing as often as
//! it is told; two runs that differ in nothing else tell what it takes once. Frameworks for this (gungraun, iai-callgrind) need a second binary
//! of exactly their version, compare with files below `target` that no commit holds, and count one function on one thread, while
//! a delivery happens on a shard's.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{command::Tool, workspace::Workspace};

/// How much more than the baseline is let through, in percent: more than what hash seeds and a compiler's choices elsewhere do.
const TOLERANCE: f64 = 5.0;
/// What the baseline was counted on. On others, instructions are shown and not compared.
const ARCHITECTURE: &str = "x86_64";
/// Where the baseline is, below the workspace.
const BASELINE: &str = "benches/instructions.txt";
/// glibc copies memory in other ways on newer processors. What each of them can do is the same everywhere.
const TUNABLES: &str =
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX2_Usable,-ERMS,-FSRM,-BMI2,-RTM";
const HEADING: &str = "\
# Instructions of one operation on x86-64, as `cargo xtask verify instructions` counts them. It refuses 5 % more. When a change has a reason to take
# more, or takes less for good, `cargo xtask baseline` writes this file anew, and the change's commit has it.
";

/// Something that is counted.
struct Counted {
    /// As `benches/instructions.rs` calls it.
    name: &'static str,
    /// What the figure is for.
    operation: &'static str,
    /// How often it is done in the one run and in the other.
    times: (u32, u32),
    /// Operations each time.
    operations: u32,
    threads: Threads,
}

/// Whose instructions count.
#[derive(Clone, Copy)]
enum Threads {
    All,
    /// A shard's, and not those of the thread that publishes and reads.
    ButTheFirst,
}

const ALL: [Counted; 6] = [
    Counted {
        name: "delivery-1",
        operation: "a message to one of 100 readers",
        times: (50, 250),
        operations: 100,
        threads: Threads::ButTheFirst,
    },
    Counted {
        name: "delivery-16",
        operation: "a message of 16 that came at once, to one of 100 readers",
        times: (20, 120),
        operations: 1_600,
        threads: Threads::ButTheFirst,
    },
    Counted {
        name: "publish",
        operation: "a request to publish, with its commit in memory",
        times: (100, 1_100),
        operations: 1,
        threads: Threads::All,
    },
    Counted {
        name: "step",
        operation: "a step's end, with its commit in memory",
        times: (50, 450),
        operations: 1,
        threads: Threads::All,
    },
    Counted {
        name: "commit",
        operation: "a step's row on disk, committed alone",
        times: (50, 450),
        operations: 1,
        threads: Threads::All,
    },
    Counted {
        name: "replay",
        operation: "a message of 32 to a reader that begins at the start, with its share of joining",
        times: (20, 120),
        operations: 32,
        threads: Threads::ButTheFirst,
    },
];

/// Counts, and fails when something takes more than it may.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let file = workspace.root.join(BASELINE);
    let text = fs::read_to_string(&file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let program = build(workspace)?;
    let mut refused = Vec::new();
    for counted in &ALL {
        let baseline = baseline(&text, counted.name)?;
        let now = counted.count(workspace, &program)?;
        let change = (now / baseline - 1.0) * 100.0;
        println!(
            "{:<12} {now:>9.1} ({change:+.1} %)  {}",
            counted.name, counted.operation
        );
        if is_refused(change) {
            refused.push(format!(
                "{} takes {now:.1} instructions, {change:.1} % more than {baseline:.1}",
                counted.name
            ));
        }
    }
    if env::consts::ARCH != ARCHITECTURE {
        println!("not compared: the baseline is of {ARCHITECTURE}");
        return Ok(());
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}; {TOLERANCE} % are let through. `callgrind_annotate` shows where they are spent, in {}. If they have to be, `cargo xtask baseline` writes \
         {BASELINE} anew, for the same commit",
        refused.join("; "),
        folder(workspace).display()
    ))
}

/// Counts, and takes what it finds as the baseline.
pub(crate) fn accept(workspace: &Workspace) -> Result<(), String> {
    if env::consts::ARCH != ARCHITECTURE {
        return Err(format!(
            "the baseline is of {ARCHITECTURE}, this is {}",
            env::consts::ARCH
        ));
    }
    let program = build(workspace)?;
    let mut text = HEADING.to_owned();
    for counted in &ALL {
        let now = counted.count(workspace, &program)?;
        let line = format!("{:<12} {now:>9.1}  {}", counted.name, counted.operation);
        println!("{line}");
        text.push_str(&line);
        text.push('\n');
    }
    let file = workspace.root.join(BASELINE);
    fs::write(&file, text).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

fn is_refused(change: f64) -> bool {
    change > TOLERANCE
}

/// What one operation took.
fn baseline(text: &str, name: &str) -> Result<f64, String> {
    let mut lines = text.lines().map(str::split_whitespace);
    let found = lines
        .find_map(|mut words| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?);
    found.ok_or_else(|| {
        format!("{BASELINE} says nothing of `{name}`; `cargo xtask baseline` writes it anew")
    })
}

/// Where callgrind leaves what it found.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("callgrind")
}

/// The program whose instructions are counted, optimised as a release is.
fn build(workspace: &Workspace) -> Result<PathBuf, String> {
    let arguments = [
        "build",
        "--profile",
        "bench",
        "--package",
        "stepcast-benches",
        "--example",
        "instructions",
    ];
    Tool::new("cargo", &arguments)
        .within(workspace.root.clone())
        .run()?;
    Ok(workspace.target.join("release/examples/instructions"))
}

impl Counted {
    /// Instructions of one operation.
    fn count(&self, workspace: &Workspace, program: &Path) -> Result<f64, String> {
        let (few, many) = self.times;
        let more = self.run(workspace, program, many)? - self.run(workspace, program, few)?;
        Ok(more / f64::from(many - few) / f64::from(self.operations))
    }

    /// Instructions of a whole run.
    fn run(&self, workspace: &Workspace, program: &Path, times: u32) -> Result<f64, String> {
        let folder = folder(workspace).join(format!("{}-{times}", self.name));
        // What an earlier run has left there would be counted as well.
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder)
            .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
        let out = format!("--callgrind-out-file={}", folder.join("out").display());
        let (program, times) = (program.display().to_string(), times.to_string());
        let arguments = [
            "--tool=callgrind",
            "--quiet",
            "--separate-threads=yes",
            &out,
            &program,
            self.name,
            &times,
        ];
        Tool::new("valgrind", &arguments)
            .env("GLIBC_TUNABLES", TUNABLES)
            .output()?;
        let threads = totals(&folder)?;
        let first = match self.threads {
            Threads::All => 0,
            Threads::ButTheFirst => 1,
        };
        Ok(threads.iter().skip(first).sum())
    }
}

/// Instructions of each thread, in the order in which they began.
fn totals(folder: &Path) -> Result<Vec<f64>, String> {
    let unreadable = |error| format!("{} cannot be read: {error}", folder.display());
    let mut files = Vec::new();
    for file in fs::read_dir(folder).map_err(unreadable)? {
        files.push(file.map_err(unreadable)?.path());
    }
    files.sort();
    let mut threads = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(unreadable)?;
        threads.extend(total(&text));
    }
    if threads.is_empty() {
        return Err(format!(
            "callgrind has counted nothing in {}",
            folder.display()
        ));
    }
    Ok(threads)
}

/// The sum that callgrind writes at the end of a thread's file.
fn total(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_has_a_line_for_each() {
        let text = format!("{HEADING}step 12.5  a step's end\nstep-more 7 x\n");
        assert_eq!(baseline(&text, "step"), Ok(12.5));
        assert_eq!(baseline(&text, "step-more"), Ok(7.0));
        let refusal = baseline(&text, "publish").unwrap_err();
        assert!(refusal.contains("`publish`"), "{refusal}");
    }

    #[test]
    fn five_percent_are_let_through() {
        assert!(!is_refused(-50.0));
        assert!(!is_refused(5.0));
        assert!(is_refused(5.1));
    }

    #[test]
    fn a_thread_has_one_sum() {
        assert_eq!(total("events: Ir\nfn=x\n1 2\ntotals: 1234\n"), Some(1234.0));
        assert_eq!(total("events: Ir\n"), None);
    }
}
