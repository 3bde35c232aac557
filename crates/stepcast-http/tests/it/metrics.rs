//! `/metrics`: that Prometheus can read it, that it counts, and that users cannot make it grow without bounds.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};

use stepcast_engine::{runs::FunctionConfig, store::Outcome};
use stepcast_http::{GatewayOptions, Keys};
use stepcast_protocol::{Cursor, FunctionId, Keep, StepId, limits};

use crate::{
    clients::within,
    server::{TestServer, grant},
};

/// A page as it was read: sample by name and labels.
struct Page {
    samples: BTreeMap<String, f64>,
    kinds: BTreeMap<String, String>,
}

impl Page {
    /// Reads the text format, and refuses whatever Prometheus would.
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
        let mut family = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, _) = help.split_once(' ').expect("a family has a help text");
                family = name.to_owned();
                assert!(!kinds.contains_key(name), "{name} comes twice");
                continue;
            }
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, family);
                assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{kind}");
                kinds.insert(name.to_owned(), kind.to_owned());
                continue;
            }
            let (key, value) = line.rsplit_once(' ').expect("a sample has a value");
            let name = key.split('{').next().unwrap();
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            assert!(name.bytes().all(is_name), "{name}");
            let suffixes: &[&str] = match &*kinds[&family] {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let is_of_family = |suffix: &&&str| name == format!("{family}{suffix}");
            assert!(
                suffixes.iter().any(|suffix| is_of_family(&suffix)),
                "{line}"
            );
            assert_eq!(
                kinds[&family] == "counter",
                name.ends_with("_total"),
                "{name}"
            );
            assert_eq!(key.contains('{'), key.ends_with("\"}"), "{key}");
            let value: f64 = value.parse().unwrap();
            let twice = samples.insert(key.to_owned(), value);
            assert_eq!(twice, None, "{key} comes twice");
        }
        let page = Self { samples, kinds };
        page.check_histograms();
        page
    }

    /// Buckets grow, and the last one has all.
    fn check_histograms(&self) {
        let is_histogram = |(_, kind): &(&String, &String)| *kind == "histogram";
        for (name, _) in self.kinds.iter().filter(is_histogram) {
            for (key, count) in &self.samples {
                let Some(labels) = key.strip_prefix(&format!("{name}_count")) else {
                    continue;
                };
                let labels = labels.trim_end_matches('}').trim_start_matches('{');
                let comma = if labels.is_empty() { "" } else { "," };
                let all = format!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}}");
                assert_eq!(self.samples[&all], *count, "{all}");
            }
        }
    }

    fn get(&self, key: &str) -> f64 {
        let known = || self.samples.keys().collect::<Vec<_>>();
        *self
            .samples
            .get(key)
            .unwrap_or_else(|| panic!("no {key} in {:?}", known()))
    }
}

async fn scrape(server: &TestServer) -> Page {
    let answer = server.get("/metrics", &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(answer.head.contains(kind), "{}", answer.head);
    Page::parse(&answer.body)
}

/// Waits until a sample has a value.
async fn until(server: &TestServer, key: &str, value: f64) {
    within(async {
        while scrape(server).await.get(key) != value {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_has_done_nothing_says_what_there_is() {
    let server = TestServer::start().await;
    let page = scrape(&server).await;
    let version = format!(
        "stepcast_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(page.get(&version), 1.0);
    assert_eq!(page.get("stepcast_ready"), 1.0);
    assert_eq!(page.get("stepcast_runs_started_total{function=\"f\"}"), 0.0);
    assert_eq!(page.get("stepcast_v4_gaps_total"), 0.0);
    // Opening it is a commit, with its own time.
    assert!(page.get("stepcast_store_commit_duration_seconds_count") >= 1.0);
    assert!(page.get("stepcast_store_commit_duration_seconds_sum") > 0.0);
    assert!(page.get("stepcast_store_commit_batches_sum") >= 1.0);
}

#[tokio::test]
async fn runs_are_counted_by_function_and_steps_by_verb() {
    let server = TestServer::start().await;
    let run = server.run().await;
    let page = scrape(&server).await;
    assert_eq!(page.get("stepcast_runs_started_total{function=\"f\"}"), 1.0);
    assert_eq!(page.get("stepcast_runs_running{function=\"f\"}"), 1.0);
    assert_eq!(page.get("stepcast_runs_in_memory"), 1.0);
    TestServer::fail(&run);
    until(&server, "stepcast_step_retries_total", 1.0).await;
    let key = stepcast_engine::runs::StepKey::new(
        StepId::parse("s").unwrap(),
        stepcast_engine::store::Verb::Run,
    );
    run.lease.step_ended(key, Outcome::Ok("1".into()));
    until(
        &server,
        "stepcast_step_duration_seconds_count{verb=\"run\"}",
        1.0,
    )
    .await;
    run.lease.returned("null".into());
    let completed = "stepcast_runs_ended_total{function=\"f\",status=\"completed\"}";
    until(&server, completed, 1.0).await;

    let run = server.run().await;
    server.engine.cancel(run.id).await.unwrap();
    let cancelled = "stepcast_runs_ended_total{function=\"f\",status=\"cancelled\"}";
    until(&server, cancelled, 1.0).await;
    until(&server, "stepcast_runs_running{function=\"f\"}", 0.0).await;
    let page = scrape(&server).await;
    assert_eq!(page.get("stepcast_runs_started_total{function=\"f\"}"), 2.0);
    assert_eq!(page.get(completed), 1.0);
    assert_eq!(
        page.get("stepcast_step_duration_seconds_count{verb=\"sleep\"}"),
        0.0
    );
}

#[tokio::test]
async fn runs_that_find_no_place_are_queued() {
    let server = TestServer::start().await;
    let mut function = FunctionConfig::new(
        FunctionId::parse("narrow").unwrap(),
        vec![stepcast_protocol::EventName::parse("narrow").unwrap()],
    );
    function.concurrency = 1;
    server.engine.register("app", vec![function]).unwrap();
    for _ in 0..3 {
        let sent = server.post("/e/dev", &[], r#"{"name":"narrow"}"#).await;
        assert_eq!(sent.status, 200, "{}", sent.body);
    }
    until(&server, "stepcast_runs_queued{function=\"narrow\"}", 2.0).await;
    let page = scrape(&server).await;
    assert_eq!(page.get("stepcast_runs_running{function=\"narrow\"}"), 1.0);
}

#[tokio::test]
async fn readers_are_counted_by_transport() {
    let server = TestServer::start().await;
    server.declare("c", vec![("t", Keep::Log)]);
    let token = server.grant(grant("c", &["t"], Cursor::START));
    let mut native = server.native(&token, "").await;
    native.next().await;
    let npm_token = server.token("c", &["t"]).await;
    let mut npm = server.connect(&npm_token).await;
    let mut events = server.events(&token, &[]).await;
    server.connections(2).await;
    let page = scrape(&server).await;
    for transport in ["websocket", "websocket_npm", "sse"] {
        let open = format!("stepcast_connections{{transport=\"{transport}\"}}");
        assert_eq!(page.get(&open), 1.0, "{open}");
    }
    assert_eq!(page.get("stepcast_connections{transport=\"poll\"}"), 0.0);

    server.publish("c", "t", "1").await;
    native.next().await;
    npm.next().await;
    events.next().await;
    let path = format!("/v1/realtime/messages?token={token}&from=start");
    assert_eq!(server.get(&path, &[]).await.status, 200);
    let page = scrape(&server).await;
    for transport in ["websocket", "websocket_npm", "sse", "poll"] {
        let sent = format!("stepcast_deliveries_total{{transport=\"{transport}\"}}");
        assert_eq!(page.get(&sent), 1.0, "{sent}");
        let bytes = format!("stepcast_sent_bytes_total{{transport=\"{transport}\"}}");
        assert!(page.get(&bytes) > 10.0, "{bytes}");
    }
    until(&server, "stepcast_readers_behind", 0.0).await;
    drop(events);
    until(&server, "stepcast_connections{transport=\"sse\"}", 0.0).await;
}

#[tokio::test]
async fn users_names_are_bounded() {
    let server = TestServer::start().await;
    let function = |n: usize| {
        let id = FunctionId::parse(format!("f{n:04}")).unwrap();
        FunctionConfig::new(id, Vec::new())
    };
    let functions = (0..limits::COUNTED_FUNCTIONS + 50).map(function);
    server.engine.register("app", functions.collect()).unwrap();
    let page = scrape(&server).await;
    let started = page
        .samples
        .keys()
        .filter(|key| key.starts_with("stepcast_runs_started_total{"));
    let labels: BTreeSet<_> = started.collect();
    assert_eq!(labels.len(), limits::COUNTED_FUNCTIONS + 1);
    assert_eq!(
        page.get("stepcast_runs_started_total{function=\"other\"}"),
        0.0
    );
}

#[tokio::test]
async fn only_operators_are_shown_it() {
    let key = "00112233445566778899aabbccddeeff";
    let keys = Keys::production(vec!["e".to_owned()], vec![key.to_owned()]).unwrap();
    let server = TestServer::with(GatewayOptions::default(), keys).await;
    assert_eq!(server.get("/metrics", &[]).await.status, 401);
    let bearer = format!("Bearer {key}");
    let answer = server.get("/metrics", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, 200);
    let dev = TestServer::start().await;
    let foreign = dev.get("/metrics", &[("host", "example.com")]).await;
    assert_eq!(foreign.status, 403);
}
