//! Readers that were built against other schemas, and the manifest that they are built against.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use serde_json::{Value, json};
use stepcast_http::{GatewayOptions, Keys};
use stepcast_protocol::{ChannelSpec, Keep, Manifest, Retention, SchemaHash, TopicName, TopicSpec};

use crate::server::TestServer;

fn status(more: Value) -> Value {
    let mut properties = json!({ "message": { "type": "string" } });
    for (name, field) in more.as_object().unwrap() {
        properties[name] = field.clone();
    }
    json!({ "type": "object", "properties": properties, "required": ["message"] })
}

fn declare(server: &TestServer, schemas: &[(&str, Option<Value>)]) {
    let topic = |(name, schema): &(&str, Option<Value>)| TopicSpec {
        name: TopicName::parse(name).unwrap(),
        keep: Keep::Log,
        retention: Retention::default(),
        schema: schema.clone(),
        doc: format!("About {name}."),
    };
    let spec = ChannelSpec {
        template: "job:{id}".parse().unwrap(),
        topics: schemas.iter().map(topic).collect(),
        rust_type: "app::Job".into(),
        doc: "A job.".into(),
    };
    server.engine.catalog().declare(&spec).unwrap();
}

/// What a server has now: `status` with an optional field more than pages know, `log` with texts and `raw` without a schema.
async fn server() -> TestServer {
    let server = TestServer::start().await;
    let now = status(json!({ "step": { "type": "string" } }));
    let topics = [
        ("status", Some(now)),
        ("log", Some(json!({ "type": "string" }))),
        ("raw", None),
    ];
    declare(&server, &topics);
    server
}

fn hash(schema: &Value) -> String {
    SchemaHash::of(schema).to_string()
}

/// What a page knows whose `log` had numbers.
fn of_a_page() -> (String, String) {
    (
        hash(&status(json!({}))),
        hash(&json!({ "type": "integer" })),
    )
}

#[tokio::test]
async fn a_page_reads_what_it_still_understands() {
    let server = server().await;
    let token = server
        .token("job:1", &["status", "log", "raw", "$run"])
        .await;
    let (status, log) = of_a_page();
    let query = format!(
        "&from=start&schema={status}:status&schema={log}:log&schema={log}:raw&schema={log}:gone"
    );
    let mut socket = server.native(&token, &query).await;
    let hello = socket.next().await;
    assert_eq!(hello["topics"], json!(["$run", "raw", "status"]));
    assert_eq!(hello["outdated"], json!(["log"]));
    server.publish("job:1", "log", "\"text\"").await;
    server
        .publish("job:1", "status", r#"{"message":"a","step":"b"}"#)
        .await;
    assert_eq!(
        socket.data(1).await,
        [json!({ "message": "a", "step": "b" })]
    );

    let mut events = server.events(&format!("{token}{query}"), &[]).await;
    let (name, outdated) = events.next_named().await;
    assert_eq!(name, "outdated");
    assert_eq!(
        outdated,
        json!({ "kind": "outdated", "channel": "job:1", "topics": ["log"] })
    );
    assert_eq!(events.next().await.1["topic"], "status");

    let path = format!("/v1/realtime/messages?token={token}{query}&wait=5");
    let answer = server.get(&path, &[]).await.json();
    assert_eq!(answer["outdated"], json!(["log"]));
    assert_eq!(answer["frames"].as_array().unwrap().len(), 1, "{answer}");
}

#[tokio::test]
async fn one_that_understands_everything_is_told_nothing() {
    let server = server().await;
    let token = server.token("job:1", &["status", "log"]).await;
    let (status, _) = of_a_page();
    let log = hash(&json!({ "type": "string" }));
    let query = format!("&schema={status}:status&schema={log}:log");
    let hello = server.native(&token, &query).await.next().await;
    assert_eq!(hello["topics"], json!(["log", "status"]));
    assert_eq!(hello.get("outdated"), None);
    let undeclared = server.token("other", &["log"]).await;
    let hello = server.native(&undeclared, &query).await.next().await;
    assert_eq!(hello["topics"], json!(["log"]));
}

#[tokio::test]
async fn a_reader_that_understands_nothing_is_refused() {
    let server = server().await;
    let (_, log) = of_a_page();
    let token = server.token("job:1", &["log"]).await;
    let upgrade = [
        ("Connection", "upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for route in ["connect", "sse", "messages"] {
        let path = format!("/v1/realtime/{route}?v=1&token={token}&schema={log}:log");
        let answer = server.get(&path, &upgrade).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (409, "outdated_client"),
            "{route}"
        );
        assert!(
            answer
                .body
                .contains("`log` of channel `job:1` has another schema"),
            "{}",
            answer.body
        );
    }
    // A topic that is no longer declared is one that nobody will hear of.
    let gone = server.token("job:1", &["gone"]).await;
    let path = format!("/v1/realtime/messages?token={gone}&schema={log}:gone");
    assert_eq!(server.get(&path, &[]).await.code(), "outdated_client");
}

#[tokio::test]
async fn a_sub_says_the_same() {
    let server = server().await;
    let (status, log) = of_a_page();
    let first = server.token("other", &["t"]).await;
    let token = server.token("job:1", &["status", "log"]).await;
    let mut socket = server.native(&first, "").await;
    assert_eq!(socket.next().await["kind"], "hello");
    let schemas = json!({ "status": status, "log": log });
    socket.send(json!({ "kind": "sub", "ref": 1, "token": token, "topics": ["log"], "schemas": schemas })).await;
    let refused = socket.next().await;
    assert_eq!(
        (&refused["ref"], &refused["code"]),
        (&json!(1), &json!("outdated_client"))
    );
    socket
        .send(json!({ "kind": "sub", "ref": 2, "token": token, "schemas": schemas }))
        .await;
    let subscribed = socket.next().await;
    assert_eq!(subscribed["topics"], json!(["status"]));
    assert_eq!(subscribed["outdated"], json!(["log"]));
    socket
        .send(json!({ "kind": "sub", "ref": 3, "token": token, "schemas": schemas }))
        .await;
    let again = socket.next().await;
    assert_eq!(
        (&again["topics"], &again["outdated"]),
        (&json!([]), &json!(["log"]))
    );
    socket
        .send(json!({ "kind": "sub", "ref": 4, "token": token, "schemas": { "log": "xyz" } }))
        .await;
    assert_eq!(socket.next().await["code"], "bad_request");
}

#[tokio::test]
async fn what_is_no_hash_is_refused() {
    let server = server().await;
    let token = server.token("job:1", &["log"]).await;
    for (schema, part) in [
        ("12345678", "write `<hash>:<topic>`"),
        ("1234:log", "schema hash `1234` is not hex digits"),
        ("12345678:", "topic is empty"),
    ] {
        let path = format!("/v1/realtime/messages?token={token}&schema={schema}");
        let answer = server.get(&path, &[]).await;
        assert_eq!(answer.status, 400, "{schema}");
        assert!(answer.body.contains(part), "{}", answer.body);
    }
}

#[tokio::test]
async fn operators_get_the_manifest() {
    let server = server().await;
    let answer = server.get("/v1/manifest", &[]).await;
    let manifest: Manifest = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(manifest, Manifest::of(&server.engine.catalog().specs()));
    let names: Vec<_> = manifest.channels[0]
        .topics
        .iter()
        .map(|topic| topic.name.as_str())
        .collect();
    assert_eq!(names, ["log", "raw", "status"]);
    assert_eq!(manifest.channels[0].topics[0].doc, "About log.");
    let keys = Keys::production(vec!["event".into()], vec!["a1".repeat(16)]).unwrap();
    let keyed = TestServer::with(GatewayOptions::default(), keys).await;
    assert_eq!(keyed.get("/v1/manifest", &[]).await.status, 401);
}
