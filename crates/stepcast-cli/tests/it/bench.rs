//! Every kind of load, as small as it can be. What it measures depends on the machine; that nothing is lost does not.

use serde_json::{Value, json};

use crate::process::{Ended, Server, run};

/// Loads against a server that is there, so that not each of them starts one.
const LOADS: [(&[&str], &str, u64); 8] = [
    (
        &[
            "fanout",
            "--readers",
            "3",
            "--messages",
            "4",
            "--burst",
            "2",
        ],
        "delivery",
        12,
    ),
    (
        &[
            "fanout",
            "--readers",
            "2",
            "--messages",
            "3",
            "--rate",
            "200",
        ],
        "delivery",
        6,
    ),
    (&["idle", "--connections", "5"], "connection", 5),
    (
        &["latency", "--messages", "5"],
        "publish with its deliveries",
        5,
    ),
    (
        &[
            "publish",
            "--publishers",
            "2",
            "--messages",
            "9",
            "--burst",
            "2",
            "--durable",
        ],
        "publish",
        9,
    ),
    (
        &[
            "channels",
            "--channels",
            "3",
            "--readers",
            "2",
            "--messages",
            "7",
        ],
        "publish with its deliveries",
        7,
    ),
    (
        &["runs", "--runs", "3", "--in-flight", "2", "--steps", "2"],
        "run",
        3,
    ),
    (
        &["replay", "--messages", "20", "--readers", "3"],
        "message replayed",
        60,
    ),
];

/// The report of a load that has done what it should.
fn report(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = ended.json().remove(0);
    for broken in ["lost", "duplicated", "out_of_order"] {
        assert_eq!(report[broken], json!(0), "{broken} in {report}");
    }
    report
}

#[test]
fn each_load_is_put_on_a_server_and_reports() {
    let server = Server::dev(&["--no-discovery"]);
    for (load, operation, operations) in LOADS {
        let arguments = [&["bench"], load, &["--json"]].concat();
        let report = report(&server.run(&arguments));
        assert_eq!(report["bench"], json!(load[0]));
        assert_eq!(report["operation"], json!(operation), "{report}");
        assert_eq!(report["operations"], json!(operations), "{report}");
        assert_eq!(report["trimmed"], json!(0), "{report}");
        assert!(report["rate"].as_f64().unwrap() > 0.0, "{report}");
        let times = &report["latency_us"];
        let [p50, p99, max] = ["p50", "p99", "max"].map(|part| times[part].as_f64().unwrap());
        assert!(p50 <= p99 && p99 <= max && max > 0.0, "{report}");
        assert_eq!(report["server_cpu_us_per_operation"], Value::Null);
    }
}

#[test]
fn whoever_comes_back_gets_the_rest() {
    let server = Server::dev(&["--no-discovery"]);
    let storm = [
        "bench",
        "resume-storm",
        "--json",
        "--channels",
        "2",
        "--readers",
        "6",
        "--behind",
        "5",
        "--rate",
        "100",
    ];
    let storm = report(&server.run(&storm));
    // Five that each has missed, and what was published meanwhile.
    assert!(storm["operations"].as_u64().unwrap() >= 30, "{storm}");
    let slow = [
        "bench",
        "slow-reader",
        "--json",
        "--readers",
        "3",
        "--stalled",
        "2",
        "--messages",
        "40",
    ];
    let slow = report(&server.run(&slow));
    assert_eq!(slow["operations"], json!(120), "{slow}");
    assert_eq!(
        (&slow["connections"], &slow["told_lost"]),
        (&json!(5), &json!(0))
    );
}

#[test]
fn without_an_address_it_measures_a_server_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let ended = run([
        "bench",
        "latency",
        "--messages",
        "3",
        "--json",
        "--dir",
        place,
    ]);
    let report = report(&ended);
    assert_eq!(report["server"]["own"], json!(true));
    // Only Linux tells what a process has used.
    if cfg!(target_os = "linux") {
        assert!(
            report["server_cpu_us_per_operation"].as_f64().unwrap() > 0.0,
            "{report}"
        );
        assert!(report["memory"]["peak"].as_u64().unwrap() > 0, "{report}");
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "its database is removed");
    let url = report["server"]["url"].as_str().unwrap();
    let gone = run(["bench", "latency", "--messages", "1", "--url", url]);
    assert_eq!(gone.code, 3, "its process has ended: {gone:?}");
}

#[test]
fn people_see_what_was_measured_and_what_is_not_known() {
    let server = Server::dev(&["--no-discovery"]);
    let shown = server.run(&[
        "bench",
        "fanout",
        "--readers",
        "2",
        "--messages",
        "3",
        "--bytes",
        "100",
    ]);
    for part in [
        "fanout: ",
        "readers 2",
        "bytes 100",
        "6 × delivery",
        "p99",
        "lost     0",
        "--pid",
    ] {
        assert!(shown.out.contains(part), "{part} in {shown:?}");
    }
    for (arguments, part) in [
        (&["bench", "fanout", "--readers", "0"][..], "1..=1000000"),
        (&["bench", "fanout", "--time", "5"], "no length of time"),
        (&["bench", "fanout", "--pid", "1"], "--url"),
        (&["bench", "latency", "--dir", "/nowhere/at/all"], "--dir"),
    ] {
        let refused = run(arguments);
        assert_eq!(refused.code, 2, "{arguments:?} {refused:?}");
        assert!(refused.err.contains(part), "{arguments:?} {refused:?}");
    }
}
