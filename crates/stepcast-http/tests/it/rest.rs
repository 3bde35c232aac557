//! Events and runs as users of SDKs ask for them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use serde_json::{Value, json};
use stepcast_http::{
    Keys,
    worker::{AppsOptions, ClientOptions},
};

use crate::server::TestServer;

async fn sent(server: &TestServer, event: Value) -> (String, Value) {
    let answer = server.post("/e/key", &[], event.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let id = answer.json()["ids"][0].as_str().unwrap().to_owned();
    (id, answer.json()["runs"][0].clone())
}

#[tokio::test]
async fn an_event_is_read_back_with_its_runs() {
    let server = TestServer::start().await;
    let event = json!({
        "name": "go",
        "id": "mine",
        "ts": 1_795_462_441_203_i64,
        "user": {"external_id": "u1"},
        "v": "2026-11-23.1",
        "data": {"n": 1, "_inngest": {"fn_id": "x"}},
    });
    let (id, runs) = sent(&server, event).await;
    let shown = server.get(&format!("/v1/events/{id}"), &[]).await.json();
    let data = &shown["data"];
    assert_eq!(data["internal_id"], id);
    assert_eq!(data["id"], "mine");
    assert_eq!(data["user"], json!({"external_id": "u1"}));
    assert_eq!(data["v"], "2026-11-23.1");
    assert_eq!(data["ts"], 1_795_462_441_203_i64);
    assert_eq!(
        data["data"],
        json!({"n": 1}),
        "the engine's part is taken out"
    );
    assert!(data["received_at"].as_str().unwrap().ends_with('Z'));
    assert!(shown["metadata"]["fetched_at"].is_string());
    let answer = server.get(&format!("/v1/events/{id}/runs"), &[]).await;
    assert!(!answer.head.contains("max-age"), "{}", answer.head);
    assert_eq!(answer.json()["data"][0]["run_id"], runs[0]);
    let unknown = "/v1/events/01KASE7J6K0000000000000000";
    for path in [unknown.to_owned(), format!("{unknown}/runs")] {
        let answer = server.get(&path, &[]).await;
        assert_eq!(answer.status, 404);
        assert!(answer.body.contains("one of your own"), "{}", answer.body);
    }
    assert_eq!(server.get("/v1/events/mine", &[]).await.status, 400);
}

#[tokio::test]
async fn events_are_listed_newest_first_by_page_name_and_time() {
    let server = TestServer::start().await;
    let mut ids = Vec::new();
    for (n, name) in ["a", "b", "a", "b", "a"].iter().enumerate() {
        let seed = format!("{},AAAAAAAAAAAAAA==", 1_000_000 + n);
        let seed = [("x-inngest-event-id-seed", &*seed)];
        let body = json!({"name": name}).to_string();
        let answer = server.post("/e/key", &seed, body).await;
        ids.push(answer.json()["ids"][0].as_str().unwrap().to_owned());
    }
    for (query, expected) in [
        (String::new(), vec![4, 3, 2, 1, 0]),
        ("limit=2".to_owned(), vec![4, 3]),
        (format!("limit=2&cursor={}", ids[3]), vec![2, 1]),
        ("name=b".to_owned(), vec![3, 1]),
        ("received_after=1000003".to_owned(), vec![4, 3]),
        (
            "received_before=1970-01-01T00:16:40.001Z".to_owned(),
            vec![0],
        ),
    ] {
        let answer = server.get(&format!("/v1/events?{query}"), &[]).await.json();
        let events = answer["data"].as_array().unwrap();
        let found: Vec<_> = events.iter().map(|event| &event["internal_id"]).collect();
        let expected: Vec<_> = expected.into_iter().map(|n| ids[n].as_str()).collect();
        assert_eq!(found, expected, "{query}");
    }
    for (query, part) in [
        ("limit=101", "1 to 100"),
        ("limit=x", "`x`"),
        ("cursor=x", "not a ULID"),
        ("received_after=yesterday", "2026-11-23T19:40:59Z"),
    ] {
        let answer = server.get(&format!("/v1/events?{query}"), &[]).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(part), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_run_is_shown_in_the_words_of_sdks() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let path = format!("/v1/runs/{}", run.id);
    let shown = server.get(&path, &[]).await.json()["data"].clone();
    assert_eq!(shown["status"], "Running");
    assert_eq!(shown["function_version"], 1);
    assert_eq!(shown["ended_at"], Value::Null);
    let jobs = server.get(&format!("{path}/jobs"), &[]).await.json();
    assert_eq!(jobs["data"][0]["kind"], "edge");
    let metadata = server.post(&format!("{path}/metadata"), &[], "{}").await;
    assert_eq!(metadata.status, 200);
    run.lease.returned(r#"{"a":1}"#.into());
    server
        .until(async |server| server.get(&path, &[]).await.json()["data"]["status"] == "Completed")
        .await;
    let shown = server.get(&path, &[]).await.json()["data"].clone();
    assert_eq!(shown["output"], json!({"a": 1}));
    let jobs = server.get(&format!("{path}/jobs"), &[]).await.json();
    assert_eq!(jobs["data"], json!([]));
    let unknown = "/v1/runs/01KASE7J6K0000000000000000";
    for path in [unknown.to_owned(), format!("{unknown}/jobs")] {
        assert_eq!(server.get(&path, &[]).await.status, 404);
    }
    assert_eq!(server.request("DELETE", unknown, &[], "").await.status, 404);
}

#[tokio::test]
async fn a_failed_run_shows_what_was_thrown() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let error =
        stepcast_protocol::RunError::new(stepcast_protocol::ErrorCode::FunctionFailed, "no luck");
    let failure = stepcast_engine::runs::Failure::of(error);
    run.lease
        .failed(failure, stepcast_engine::runs::Retry::times(0));
    let path = format!("/v1/runs/{}", run.id);
    server
        .until(async |server| server.get(&path, &[]).await.json()["data"]["status"] == "Failed")
        .await;
    let shown = server.get(&path, &[]).await.json()["data"].clone();
    assert_eq!(shown["output"]["message"], "no luck");
    assert_eq!(shown["error"]["code"], "function_failed");
}

#[tokio::test]
async fn a_run_is_run_again_and_one_that_is_not_there_is_not() {
    let server = TestServer::start().await;
    let run = server.run().await;
    run.lease.returned("1".into());
    let answer = server
        .post(&format!("/v1/runs/{}/rerun", run.id), &[], "")
        .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let again = answer.json()["data"]["run_id"].as_str().unwrap().to_owned();
    assert_ne!(again, run.id.to_string());
    let shown = server.get(&format!("/v1/runs/{again}"), &[]).await.json();
    assert_eq!(shown["data"]["event_id"], run.event.id.to_string());
    assert_eq!(shown["data"]["function_id"], "f");
    let path = format!("/v1/events/{}/runs", run.event.id);
    let runs = server.get(&path, &[]).await.json();
    assert_eq!(runs["data"].as_array().unwrap().len(), 2);
    let unknown = "/v1/runs/01KASE7J6K0000000000000000/rerun";
    let answer = server.post(unknown, &[], "").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "unknown_run")
    );
    assert!(answer.body.contains("does not exist"), "{}", answer.body);
    assert_eq!(server.post("/v1/runs/r1/rerun", &[], "").await.status, 400);
}

#[tokio::test]
async fn a_function_is_started_by_its_id() {
    let server = TestServer::start().await;
    // What only the engine says of an event is not taken from others.
    let data = r#"{"data":{"n":1,"_inngest":{"correlation_id":"another run's"}}}"#;
    let answer = server.post("/invoke/f", &[], data).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["status"], 200);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let event = server.get(&format!("/v1/events/{id}"), &[]).await.json();
    assert_eq!(event["data"]["name"], "inngest/function.invoked");
    assert_eq!(event["data"]["data"], json!({"n": 1}));
    let runs = server.get(&format!("/v1/events/{id}/runs"), &[]).await;
    assert_eq!(runs.json()["data"][0]["function_id"], "f");
    assert_eq!(server.post("/invoke/f", &[], "").await.status, 200);
    for (path, body, status) in [
        ("/invoke/g", "{}", 404),
        ("/invoke/f", "[", 400),
        ("/invoke/f", r#"{"data":1}"#, 400),
    ] {
        assert_eq!(server.post(path, &[], body).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_signal_that_nobody_waits_for_is_not_found() {
    let server = TestServer::start().await;
    let answer = server
        .post("/v1/signals", &[], r#"{"signal":"s","data":1}"#)
        .await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("signal `s`"), "{}", answer.body);
    assert_eq!(server.post("/v1/signals", &[], "{}").await.status, 400);
}

#[tokio::test]
async fn what_is_not_done_is_answered_with_what_to_do_instead() {
    let server = TestServer::start().await;
    for (method, path, part) in [
        ("POST", "/v0/connect/start", "serve the functions over HTTP"),
        ("POST", "/v0/connect/flush", "serve the functions over HTTP"),
        ("GET", "/api/v2/runs", "use `/v1`"),
        ("POST", "/v0/gql", "no GraphQL"),
        ("POST", "/v1/checkpoint", "POST /invoke/{function}"),
        ("POST", "/v1/cancellations", "DELETE /v1/runs/{id}"),
        ("DELETE", "/v1/cancellations/x", "cancelOn"),
    ] {
        let answer = server.request(method, path, &[], "").await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (501, "not_supported"),
            "{path}"
        );
        assert!(answer.body.contains(part), "{}", answer.body);
    }
}

#[tokio::test]
async fn forms_are_no_events() {
    let server = TestServer::start().await;
    for (kind, body) in [
        ("application/x-www-form-urlencoded", "name=a"),
        ("multipart/form-data; boundary=x", "--x\r\n"),
    ] {
        let answer = server.post("/e/key", &[("content-type", kind)], body).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.body.contains("forms are not read"),
            "{}",
            answer.body
        );
    }
    // curl says this of all that it sends, unless it is told otherwise.
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let answer = server.post("/e/key", &kind, r#"{"name":"a"}"#).await;
    assert_eq!(answer.status, 200);
    let reserved = server.post("/e/key", &[], r#"{"name":"inngest/x"}"#).await;
    assert_eq!(reserved.status, 400);
}

#[tokio::test]
async fn a_server_for_development_says_what_it_is() {
    let server =
        TestServer::with_apps(AppsOptions::default(), ClientOptions::default(), Keys::Dev).await;
    let shown = server.get("/dev", &[]).await.json();
    assert!(shown["version"].is_string());
    assert_eq!(shown["functions"], json!([]));
}
