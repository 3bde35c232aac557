//! What operators see of a channel.

use serde_json::json;
use stepcast_protocol::{Keep, Retention};

use crate::server::{TestServer, text};

#[tokio::test]
async fn a_channel_is_shown_with_what_is_kept_of_it() {
    let server = TestServer::start().await;
    server.declare_bounded(
        "room:{id}",
        vec![("log", Keep::Log), ("tokens", text())],
        Retention {
            messages: Some(5),
            bytes: Some(1_000),
            age: Some(std::time::Duration::from_secs(60)),
        },
    );
    let last = server.publish("room:a/b", "log", "12").await;
    server
        .until(async |server| server.kept("room:a%2Fb").await == [1, 0])
        .await;
    let token = server.token("room:a/b", &["log"]).await;
    let _readers = (
        server.connect(&token).await,
        server.native(&token, "").await,
    );
    server.connections(2).await;
    let shown = server.get("/v1/channels/room:a%2Fb", &[]).await.json();
    let bounds = json!({ "messages": 5, "bytes": 1_000, "age_seconds": 60 });
    assert_eq!(
        shown["data"],
        json!({
            "channel": "room:a/b",
            "epoch": last.epoch.0,
            "head": last.to_string(),
            "visible": last.to_string(),
            "readers": 2,
            "topics": [
                { "topic": "log", "keep": "log", "bounds": bounds, "messages": 1, "bytes": 2, "trimmed_to": null },
                { "topic": "tokens", "keep": "text", "bounds": bounds, "messages": 0, "bytes": 0, "trimmed_to": null },
            ],
        })
    );
    assert!(shown["metadata"]["fetched_at"].is_string());
    for number in 0..30 {
        server.publish("room:a/b", "log", number.to_string()).await;
    }
    server
        .until(async |server| server.kept("room:a%2Fb").await == [5, 0])
        .await;
    let shown = server.get("/v1/channels/room:a%2Fb", &[]).await.json();
    assert!(
        shown["data"]["topics"][0]["trimmed_to"].is_string(),
        "{shown}"
    );
}

#[tokio::test]
async fn a_channel_that_nobody_has_written_is_empty() {
    let server = TestServer::start().await;
    let answer = server.get("/v1/channels/nobody", &[]).await;
    assert_eq!(answer.status, 200);
    let shown = answer.json();
    assert_eq!(shown["data"]["topics"], json!([]));
    assert_eq!(shown["data"]["head"], shown["data"]["visible"]);
    let foreign = [("Origin", "https://evil.example"), ("Host", "evil.example")];
    assert_eq!(
        server.get("/v1/channels/nobody", &foreign).await.status,
        403
    );
    let wrong = server.get("/v1/channels/a%0Ab", &[]).await;
    assert_eq!((wrong.status, &*wrong.code()), (400, "bad_channel"));
}
