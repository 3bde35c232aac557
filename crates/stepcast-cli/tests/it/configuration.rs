//! Which of two settings counts, and what is wrong with one.

use std::fs;

use serde_json::json;

use crate::process::{Process, Server, run, stepcast};

#[test]
fn the_line_counts_before_the_environment_and_that_before_the_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("stepcast.toml"),
        "port = 0\ndb = \"file.db\"\n",
    )
    .unwrap();
    for (flag, variable, holds) in [
        (None, None, "file.db"),
        (None, Some("variable.db"), "variable.db"),
        (Some("flag.db"), Some("variable.db"), "flag.db"),
        (Some("flag.db"), None, "flag.db"),
    ] {
        let mut command = stepcast(["dev", "--json", "--config", "stepcast.toml"]);
        command.current_dir(directory.path());
        if let Some(flag) = flag {
            command.args(["--db", flag]);
        }
        if let Some(variable) = variable {
            command.env("STEPCAST_DB", variable);
        }
        let server = Server::of(command);
        assert_eq!(server.announced["database"], json!(holds));
        assert_ne!(server.address(), "127.0.0.1:8288", "the file says 0");
    }
}

#[test]
fn the_file_can_say_everything_and_name_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("production.toml");
    fs::write(
        &file,
        "port = 0\nsigning-key = \"00112233445566778899aabbccddeeff\"\nevent-key = [\"events\"]\nbehind-tls = true\nlog = \"off\"\n",
    )
    .unwrap();
    let mut command = stepcast(["start", "--json"]);
    command
        .current_dir(directory.path())
        .env("STEPCAST_CONFIG", &file);
    let server = Server::of(command);
    let runs = ["runs", "--signing-key", "00112233445566778899aabbccddeeff"];
    assert_eq!(server.run(&runs).code, 0);
    let ended = server.end(rustix::process::Signal::TERM);
    assert_eq!((ended.code, &*ended.err), (0, ""));
}

#[test]
fn channels_of_a_manifest_are_held_to_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("channels.json");
    let topics = json!([
        { "name": "status", "keep": "latest", "schema": { "type": "string" } },
        { "name": "cursor", "keep": "live" },
    ]);
    let manifest =
        json!({ "version": 1, "channels": [{ "template": "draft:{id}", "topics": topics }] });
    fs::write(&file, manifest.to_string()).unwrap();
    let mut command = stepcast(["dev", "--json", "--port", "0"]);
    command.arg("--channels").arg(&file);
    let server = Server::of(command);
    let publish = |topic, data| server.run(&["publish", "draft:1", topic, data]);
    for (topic, data) in [("status", "\"a\""), ("status", "\"b\""), ("cursor", "1")] {
        assert_eq!(publish(topic, data).code, 0);
    }
    let refused = publish("status", "1");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("status"), "{refused:?}");
    assert!(publish("stauts", "1").err.contains("stauts"));
    // The last one is all that is kept.
    let tail = server.start(&["tail", "draft:1", "status", "--json"]);
    let kept = &tail.json()["messages"];
    assert_eq!(
        (kept[0]["data"].as_str(), &kept[1]),
        (Some("b"), &json!(null))
    );
}

#[test]
fn what_is_wrong_is_named_and_ends_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("wrong.toml");
    fs::write(&file, "prot = 1").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, part) in [
        (&["dev", "--config", file][..], "no option `prot`"),
        (&["dev", "--config", "/nowhere/x.toml"], "/nowhere/x.toml"),
        (&["dev", "--channels", file], "is no manifest"),
        (&["dev", "--channels", "/nowhere/c.json"], "/nowhere/c.json"),
        (&["dev", "--grace", "10"], "`10` is no length of time"),
        (&["dev", "--port", "x"], "--port"),
        (
            &["dev", "--run-frames", "some"],
            "[possible values: off, own, all]",
        ),
        (&["nonsense"], "nonsense"),
    ] {
        let refused = run(arguments);
        assert_eq!(refused.code, 2, "{arguments:?} {refused:?}");
        assert!(refused.err.contains(part), "{arguments:?} {refused:?}");
    }
    let mut command = stepcast(["dev"]);
    command.env("STEPCAST_PORT", "x");
    assert_eq!(Process::start(command).end().code, 2);
}
