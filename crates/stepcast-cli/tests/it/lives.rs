//! A reader goes on while the server it reads from dies and comes back.

use serde_json::{Value, json};

use crate::{
    process::{Process, Server, stepcast},
    proxy::Proxy,
};

fn tail(proxy: &Proxy) -> Process {
    Process::start(stepcast(["tail", "c", "t", "--json", "--url", &proxy.url]))
}

fn publish(server: &Server, count: usize) {
    let data = count.to_string();
    let published = server.run(&["publish", "c", "t", &data, "--durable"]);
    assert_eq!(published.code, 0, "{published:?}");
}

#[test]
fn nothing_durable_is_missing_or_doubled_when_the_server_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.db");
    let file = ["--db", file.to_str().unwrap()];
    let proxy = Proxy::start();
    let server = Server::dev(&file);
    proxy.point_to(Some(server.address()));
    publish(&server, 0);
    let tail = tail(&proxy);
    assert_eq!(tail.json()["data"], json!(0));
    publish(&server, 1);
    assert_eq!(tail.json()["data"], json!(1));

    let mut server = server;
    let mut data = Vec::new();
    for life in 1..4 {
        server.kill();
        proxy.point_to(None);
        server = Server::dev(&file);
        publish(&server, 2 * life);
        proxy.point_to(Some(server.address()));
        publish(&server, 2 * life + 1);
        while data.len() < 2 * life {
            let line = tail.json();
            match line["kind"].as_str() {
                Some("message") => data.push(line["data"].clone()),
                // After a crash a gap may be told though nothing was lost.
                Some("gap") => assert_eq!(line["reason"], json!("crashed")),
                other => panic!("{other:?} {line}"),
            }
        }
    }
    let expected: Vec<Value> = (2..8).map(|count| json!(count)).collect();
    assert_eq!(data, expected);
}

#[test]
fn what_died_with_a_server_in_memory_is_told_as_a_gap() {
    let proxy = Proxy::start();
    let server = Server::dev(&[]);
    proxy.point_to(Some(server.address()));
    publish(&server, 0);
    let tail = tail(&proxy);
    assert_eq!(tail.json()["data"], json!(0));
    server.kill();
    proxy.point_to(None);
    let server = Server::dev(&[]);
    proxy.point_to(Some(server.address()));
    let gap = tail.json();
    assert_eq!(gap["kind"], json!("gap"), "{gap}");
    publish(&server, 1);
    assert_eq!(tail.json()["data"], json!(1));
}
