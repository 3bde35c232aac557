//! What a delivery costs, beside loops of `write(2)` over as many sockets, on as many threads, in the same run.
//!
//! The same load (`stepcast bench fanout`) is put on Stepcast and on the floor in turns, so that a noisy machine disturbs them alike; who is
//! first in one round is second in the next.
//!
//! - One message at a time, 1,000 readers: the server's CPU time per delivery.
//! - Bursts of 16, against one `write(2)` of 16 frames for each socket.
//! - 20,000 deliveries/s to 5,000 readers: from publish to arrival.
//!
//! `cargo bench --bench fanout [-- ROUNDS]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use stepcast_benches::{
    floor::{self, Floor},
    load::{self, Pairs},
};

/// A load, its floor, and which figures of it are compared.
struct Case {
    name: &'static str,
    load: &'static [&'static str],
    floor: Floor,
    figures: &'static [(&'static str, &'static str, &'static str)],
}

const CPU: (&str, &str, &str) = ("CPU per delivery", "/server_cpu_us_per_operation", "µs");

const CASES: [Case; 3] = [
    Case {
        name: "one message at a time, 1,000 readers",
        load: &[
            "fanout",
            "--readers",
            "1000",
            "--messages",
            "500",
            "--time",
            "20s",
        ],
        floor: Floor::WriteEach,
        figures: &[CPU],
    },
    Case {
        name: "bursts of 16, 1,000 readers",
        load: &[
            "fanout",
            "--readers",
            "1000",
            "--burst",
            "16",
            "--messages",
            "8000",
            "--time",
            "20s",
        ],
        floor: Floor::WriteOnce,
        figures: &[CPU],
    },
    Case {
        name: "20,000 deliveries/s, 5,000 readers",
        load: &[
            "fanout",
            "--readers",
            "5000",
            "--rate",
            "20000",
            "--messages",
            "40",
            "--time",
            "20s",
        ],
        floor: Floor::WriteEach,
        figures: &[
            ("publish to arrival, p50", "/latency_us/p50", "µs"),
            ("publish to arrival, p99", "/latency_us/p99", "µs"),
            CPU,
        ],
    },
];

fn main() -> std::io::Result<()> {
    floor::be_one_if_asked()?;
    let rounds = std::env::args().find_map(|argument| argument.parse().ok());
    let binary = load::binary()?;
    for case in CASES {
        let mut pairs = vec![Pairs::default(); case.figures.len()];
        for round in 0..rounds.unwrap_or(5) {
            let (ours, floor) = load::in_turns(
                round,
                || load::of_stepcast(&binary, case.load),
                || load::of_floor(&binary, case.floor, case.load),
            )?;
            for (pairs, (_, path, _)) in pairs.iter_mut().zip(case.figures) {
                pairs.add(path, &ours, &floor);
            }
        }
        println!("{}; floor: {}", case.name, case.floor.name());
        for (pairs, (figure, _, unit)) in pairs.iter().zip(case.figures) {
            println!("  {figure}: {}", pairs.shown(unit));
        }
    }
    Ok(())
}
