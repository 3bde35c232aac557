//! The commands for people and scripts, against a server.

use serde_json::json;

use crate::{
    prepared::{Embedded, MAY_FAIL, Prepared},
    process::{Guarded, Server, run, run_with_input},
};

#[test]
fn a_message_is_published_and_read() {
    let server = Server::dev(&[]);
    let place = server.run(&["publish", "chat:1", "said", r#"{"a":1.50}"#, "--durable"]);
    assert_eq!(place.code, 0, "{place:?}");
    let url = server.url();
    let input = ["publish", "chat:1", "said", "-", "--json", "--url", url];
    let second = run_with_input(&input, "\"from\\nthe input\"\n");
    assert_eq!(second.json()[0]["topic"], json!("said"));
    let keyed = ["publish", "chat:1", "said", "3", "--idempotency-key", "k"];
    assert_eq!(server.run(&keyed).out, server.run(&keyed).out);

    let tail = server.start(&["tail", "chat:1", "--json"]);
    let first = tail.json();
    assert_eq!(first["kind"], json!("message"));
    assert_eq!(first["cursor"], json!(place.out.trim()));
    assert_eq!(first["data"], json!({ "a": 1.5 }));
    assert_eq!(tail.json()["data"], json!("from\nthe input"));
    assert_eq!(tail.json()["data"], json!(3));
    server.run(&["publish", "chat:1", "said"]);
    assert_eq!(tail.json()["data"], json!(null));

    let text = server.start(&["tail", "chat:1", "said", "--from", place.out.trim()]);
    assert!(text.line().ends_with(r#"  said  "from\nthe input""#));
    let last = server.start(&["tail", "chat:1", "said", "--from", "last:1"]);
    assert!(last.line().ends_with("  said  null"));
}

#[test]
fn a_channel_may_be_followed_before_anybody_writes_it() {
    let server = Server::dev(&[]);
    let tail = server.start(&["tail", "later", "--from", "now"]);
    tail.err_with("waiting for its first message");
    server.run(&["publish", "later", "t", "1"]);
    assert!(tail.line().ends_with("t  1"));
}

#[test]
fn nobody_who_reads_is_no_error() {
    let server = Server::dev(&[]);
    server.run(&["publish", "c", "t", "1"]);
    let mut command = crate::process::stepcast(["tail", "c", "--url", server.url()]);
    command.stdout(std::process::Stdio::piped());
    let mut tail = Guarded(command.spawn().unwrap());
    drop(tail.0.stdout.take());
    // Whatever it prints next cannot be printed.
    server.run(&["publish", "c", "t", "2"]);
    assert_eq!(tail.0.wait().unwrap().code(), Some(0));
}

#[test]
fn runs_are_listed_shown_followed_and_cancelled() {
    let prepared = Prepared::new();
    let server = Server::dev(&["--db", prepared.file().to_str().unwrap()]);
    let (completed, failed, waiting) = (
        prepared.completed.to_string(),
        prepared.failed.to_string(),
        prepared.waiting.to_string(),
    );
    let ids = |arguments: &[&str]| -> Vec<String> {
        let listed = server.run(arguments);
        assert_eq!(listed.code, 0, "{listed:?}");
        let id = |run: serde_json::Value| run["run_id"].as_str().unwrap().to_owned();
        listed.json().into_iter().map(id).collect()
    };
    assert_eq!(ids(&["runs", "--json"]), [&*waiting, &*failed, &*completed]);
    assert_eq!(ids(&["runs", "--json", "--limit", "1"]), [&*waiting]);
    assert_eq!(ids(&["runs", "--json", "--status", "failed"]), [&*failed]);
    assert!(ids(&["runs", "--json", "--status", "cancelled"]).is_empty());
    let table = server.run(&["runs"]);
    assert!(table.err.starts_with("RUN "), "{table:?}");
    assert!(table.out.lines().count() == 3 && table.out.contains("completed  "));
    let shown = server.run(&["runs", &completed]);
    assert!(shown.out.contains("result    \"greeted ann\""), "{shown:?}");
    let shown = server.run(&["runs", &failed]);
    assert!(shown.out.contains("it had to fail"), "{shown:?}");

    // Sent to a server without functions, an event starts nothing.
    let sent = server.run(&["send", "it/greet", r#"{"name":"ben"}"#, "--json"]);
    assert_eq!(sent.json()[0]["runs"], json!([]));

    let until = |channel: &str, topic: &str, run: &str| {
        server.run(&["tail", channel, topic, "--until-run-ends", run, "--json"])
    };
    let tail = until("greetings:ann", "said", &completed);
    assert_eq!(tail.code, 0, "{tail:?}");
    let lines = tail.json();
    let said: Vec<_> = lines.iter().map(|line| &line["data"]["text"]).collect();
    assert_eq!(said[..2], [&json!("hello"), &json!("goodbye")]);
    assert_eq!(lines[0]["run_id"], json!(completed));
    assert_eq!(lines[0]["step_id"], json!("first"));
    assert_eq!(lines[2]["kind"], json!("run"));
    assert_eq!(lines[2]["status"], json!("completed"));
    let tail = until(&failed, "$run", &failed);
    assert_eq!(tail.code, 4, "{tail:?}");
    assert!(tail.err.contains("failed"), "{tail:?}");

    let follower = server.start(&["tail", &waiting, "$run", "--until-run-ends", &waiting]);
    follower.line();
    let cancelled = server.run(&["cancel", &waiting]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    assert_eq!(follower.end().code, 4);
    // Its function is not here, but in the program that made the database.
    let gone = server.run(&["rerun", &failed]);
    assert!(
        gone.code == 1 && gone.err.contains("unknown_function") && gone.err.contains("`fail`"),
        "{gone:?}"
    );
    let again = server.run(&["cancel", &waiting]);
    assert!(
        again.code == 1 && again.err.contains("run_ended"),
        "{again:?}"
    );
    assert_eq!(
        ids(&["runs", "--json", "--status", "cancelled"]),
        [&*waiting]
    );
}

#[test]
fn an_event_is_sent_and_its_run_followed_through_a_failed_attempt() {
    let embedded = Embedded::start();
    let channel = ["tail", "greetings:ann", "said", "--json"];
    let tail = embedded.start_command(&channel);
    // Whoever is there when an attempt fails is told; those who come later never see what it said.
    embedded.run(&["publish", "greetings:ann", "said", r#"{"text":"ready"}"#]);
    assert_eq!(tail.json()["data"]["text"], json!("ready"));
    let sent = embedded.run(&["send", "it/flaky", r#"{"name":"ann"}"#, "--json"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    let run = sent.json()[0]["runs"][0].as_str().unwrap().to_owned();
    let first = tail.json();
    assert_eq!(first["run_id"], json!(run));
    assert_eq!(
        (&first["attempt"], &first["data"]["text"]),
        (&json!(1), &json!("hello"))
    );
    // One who has not been shown it yet would not be told that it is void.
    MAY_FAIL.add_permits(1);
    let rollback = tail.json();
    assert_eq!(rollback["kind"], json!("rollback"), "{rollback}");
    assert_eq!(
        (&rollback["run_id"], &rollback["attempt"]),
        (&json!(run), &json!(1))
    );
    let second = tail.json();
    assert_eq!(
        (&second["kind"], &second["attempt"]),
        (&json!("message"), &json!(2))
    );
    let until = ["tail", "greetings:ann", "said", "--until-run-ends", &run];
    let ended = embedded.run(&until);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.out.matches("hello").count(), 1, "{ended:?}");
    assert!(
        ended.out.contains(&format!("-- run {run} completed")),
        "{ended:?}"
    );
    // What it says again is on the same channel, and comes out right at once or at its second attempt.
    MAY_FAIL.add_permits(2);
    let again = embedded.run(&["rerun", &run, "--json"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()[0]["rerun_of"], json!(run));
    let new = again.json()[0]["run_id"].as_str().unwrap().to_owned();
    let ended = embedded.run(&["tail", "greetings:ann", "said", "--until-run-ends", &new]);
    assert!(
        ended.out.contains(&format!("-- run {new} completed")),
        "{ended:?}"
    );
    let third = embedded.run(&["rerun", &run]);
    assert!(
        third.out.starts_with("started run ") && third.out.contains(&run),
        "{third:?}"
    );
    assert!(
        embedded
            .run(&["runs", &run])
            .out
            .contains("status    completed")
    );
}

#[test]
fn tokens_are_for_topics_that_are_named_or_known() {
    let server = Server::dev(&[]);
    let none = server.run(&["token", "c"]);
    assert!(
        none.code == 2 && none.err.contains("name those"),
        "{none:?}"
    );
    server.run(&["publish", "c", "t"]);
    let known = server.run(&["token", "c", "--json"]);
    assert_eq!(known.json()[0]["topics"], json!(["t"]));
    let named = server.run(&[
        "token",
        "c",
        "a",
        "b",
        "--expires-in",
        "1h",
        "--session",
        "2h",
    ]);
    assert_eq!(named.out.trim().split('.').count(), 3);
    for time in ["25h", "0s", "500ms"] {
        let refused = server.run(&["token", "c", "a", "--expires-in", time]);
        assert_eq!(refused.code, 1, "{time} {refused:?}");
    }
}

#[test]
fn each_way_to_fail_has_its_code() {
    let server = Server::dev(&[]);
    let nobody = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", gone.local_addr().unwrap())
    };
    for (arguments, code, part) in [
        (
            &["runs", "01KASE7J6K0000000000000000"][..],
            1,
            "unknown_run",
        ),
        (&["rerun", "01KASE7J6K0000000000000000"], 1, "unknown_run"),
        (&["publish", "c", "$run", "1"], 1, "bad_topic"),
        (&["publish", "", "t", "1"], 1, "bad_channel"),
        (&["send", "inngest/x"], 1, "bad_event"),
        (&["send", "app/x", "[1]"], 1, "not a JSON object"),
        (
            &["tail", "c", "t", "--from", "9999999999999-1"],
            1,
            "bad_cursor",
        ),
        (&["publish", "c", "t", "hello"], 2, "not JSON"),
        (&["cancel", "x"], 2, "x"),
        (&["rerun", "x"], 2, "x"),
        (&["tail", "c", "--from", "yesterday"], 2, "yesterday"),
        (&["runs", "--limit", "0"], 2, "0"),
    ] {
        let ended = server.run(arguments);
        assert_eq!(ended.code, code, "{arguments:?} {ended:?}");
        assert!(ended.err.contains(part), "{arguments:?} {ended:?}");
        assert_eq!(ended.out, "");
    }
    for arguments in [
        &["runs"][..],
        &["send", "a"],
        &["publish", "c", "t"],
        &["tail", "c"],
        &["tail", "c", "t"],
        &["token", "c", "t"],
    ] {
        let ended = run(arguments.iter().chain(&["--url", nobody.as_str()]));
        assert_eq!(ended.code, 3, "{arguments:?} {ended:?}");
        assert!(ended.err.contains(&nobody), "{ended:?}");
    }
    for url in ["127.0.0.1", "https://example.com"] {
        let ended = run(["runs", "--url", url]);
        assert!(ended.code == 2 && ended.err.contains(url), "{ended:?}");
    }
}

#[test]
fn shells_and_readers_of_help_get_what_they_need() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(["completions", shell]);
        assert!(script.code == 0 && script.out.contains("until-run-ends"));
    }
    let help = run(["--help"]);
    for code in 0..5 {
        assert!(help.out.contains(&format!("\n  {code}  ")), "{help:?}");
    }
    let help = run(["start", "--help"]).out;
    for part in [
        "[default: 8288]",
        "STEPCAST_PORT",
        "INNGEST_SIGNING_KEY",
        "[default: 7d]",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
}
