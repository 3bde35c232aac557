//! `kill -9` at moments that nobody chose.

#![expect(clippy::print_stdout, reason = "a failure is repeated by its seed")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::program::{Living, Program, Row, end, rows_of_sample, sample};

/// A fact that does not come is a failure.
const DEADLINE: Duration = Duration::from_secs(30);

/// Moments. The seed is printed; `STEPCAST_TEST_SEED` gives it again.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let given = std::env::var("STEPCAST_TEST_SEED").ok();
        let seed = given.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos()) + 1
        });
        println!("STEPCAST_TEST_SEED={seed}");
        Self(seed)
    }

    /// xorshift
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What a life came to.
enum Life {
    Killed,
    Ended { success: bool },
}

/// Waits until the table has so many rows, then a moment more, and kills. The moment is part of the chance, not of the synchronisation.
fn live(program: &Program, rows: u64, more: Duration) -> Life {
    let Living(process) = &mut program.start();
    let begun = Instant::now();
    while program.count() < rows {
        if let Some(status) = process.try_wait().unwrap() {
            return Life::Ended {
                success: status.success(),
            };
        }
        assert!(begun.elapsed() < DEADLINE, "{rows} rows did not appear");
        std::thread::sleep(Duration::from_micros(500));
    }
    std::thread::sleep(more);
    match process.try_wait().unwrap() {
        Some(status) => Life::Ended {
            success: status.success(),
        },
        None => {
            // SIGKILL, on every Unix.
            process.kill().unwrap();
            process.wait().unwrap();
            Life::Killed
        }
    }
}

/// Starts the program and kills it until it ends by itself. Says how often it was killed.
///
/// A run fails after five crashes without a new step, and a life that is killed before its second batch may have recorded none, so lives without
/// progress are not left to chance.
fn kill_until_it_ends(program: &Program, rows_per_batch: u64) -> u32 {
    let mut moments = Moments::new();
    let (mut kills, mut torn) = (0, 0);
    loop {
        let batches = match kills % 4 {
            // Anywhere, before the first batch too.
            0 => moments.below(3),
            _ => 2 + moments.below(3),
        };
        let rows = program.count() + batches * rows_per_batch;
        // Half of them at once: the rows are there, and their step may not be recorded yet.
        let more = Duration::from_micros(moments.below(2) * moments.below(12_000));
        match live(program, rows, more) {
            Life::Killed => kills += 1,
            Life::Ended { success } => {
                assert!(success, "the import failed after {kills} kills");
                println!("{kills} kills, {torn} of them between a batch's rows and its step");
                return kills;
            }
        }
        assert_eq!(program.repeated(), 0, "after {kills} kills");
        torn += u32::from(program.count() > program.recorded() * rows_per_batch);
    }
}

#[test]
fn killed_at_any_moment_no_row_is_missing_or_twice() {
    let program = Program::on(&sample(), &["--batch", "5", "--delay-ms", "10"]);
    let kills = kill_until_it_ends(&program, 5);
    assert!(kills >= 10, "only {kills} kills");
    assert_eq!(program.rows(), rows_of_sample());
    let summary = serde_json::json!({ "rows": 312, "imported": 312, "bad": 0, "first_bad": [] });
    assert_eq!(program.messages("summary"), [summary]);
}

#[test]
fn killed_at_any_moment_every_bad_row_is_told() {
    let mut table = "number,text\n".to_owned();
    let mut rows: Vec<Row> = Vec::new();
    let mut bad = BTreeSet::new();
    let mut line = 2;
    for row in 1..=600 {
        if row % 3 == 0 {
            table += "bad\n";
            bad.insert(line);
            line += 1;
        } else {
            table += &format!("{row},\"text\nof {row}\"\n");
            rows.push((
                line,
                vec![Some(row.to_string()), Some(format!("text\nof {row}"))],
            ));
            line += 2;
        }
    }
    let program = Program::on_text(
        "t.csv",
        table.as_bytes(),
        &["--batch", "3", "--delay-ms", "3"],
    );
    let kills = kill_until_it_ends(&program, 2);
    assert!(kills >= 10, "only {kills} kills");
    assert_eq!(program.rows(), rows);
    let log = program.messages("log");
    let told: BTreeSet<u64> = log
        .iter()
        .map(|bad| bad["line"].as_u64().unwrap())
        .collect();
    println!("{} bad rows, told {} times", bad.len(), log.len());
    assert_eq!(told, bad);
    assert_eq!(program.messages("summary").len(), 1);
}

/// A crash between the rows' commit and the step's: the rows are there, the step is not recorded.
#[test]
fn a_batch_whose_step_was_not_recorded_is_there_once() {
    let program = Program::on(&sample(), &["--batch", "5", "--delay-ms", "100"]);
    assert!(matches!(live(&program, 20, Duration::ZERO), Life::Killed));
    let output = program.output().unwrap();
    let there = usize::try_from(program.count()).unwrap();
    for (line, fields) in &rows_of_sample()[there..there + 7] {
        output
            .execute(
                "INSERT INTO imported VALUES (?, ?, ?, ?, ?)",
                rusqlite::params![
                    i64::try_from(*line).unwrap(),
                    fields[0],
                    fields[1],
                    fields[2],
                    fields[3]
                ],
            )
            .unwrap();
    }
    let mut fast = program.command_on("state.db", "out.db");
    fast.args(["--batch", "5"]);
    assert_eq!(end(fast).code, Some(0));
    assert_eq!(program.rows(), rows_of_sample());
}
