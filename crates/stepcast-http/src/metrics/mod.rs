//! What operators are shown: one page of the values that the engine, the shards and the other readers have counted. Pure.
//!
//! [`exposition`] knows the format; this knows the names, which `docs/operations.md` explains. Everything is counted where it happens, and
//! only looked at here.

mod exposition;

use stepcast_engine::{EngineStats, FunctionStats};

use self::exposition::{Exposition, Kind};
use crate::fanout::{Sent, Stats};

/// What the page is served as.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What was counted, at one moment.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) ready: bool,
    pub(crate) engine: EngineStats,
    pub(crate) sockets: Stats,
    /// How many there are, and what they were given.
    pub(crate) event_streams: (usize, Sent),
    pub(crate) polls: (usize, Sent),
}

/// The page.
pub(crate) fn page(observed: &Observed) -> String {
    let mut page = Exposition::default();
    about(&mut page, observed.ready);
    runs(&mut page, &observed.engine.functions);
    steps(&mut page, &observed.engine);
    memory(&mut page, &observed.engine);
    store(&mut page, &observed.engine);
    readers(&mut page, observed);
    sockets(&mut page, &observed.sockets);
    page.into_text()
}

fn about(page: &mut Exposition, ready: bool) {
    page.family(
        "stepcast_build_info",
        Kind::Gauge,
        "The version, as a label.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family(
        "stepcast_ready",
        Kind::Gauge,
        "Whether new work is taken, as /ready says.",
    )
    .sample(&[], u64::from(ready));
}

fn runs(page: &mut Exposition, functions: &[FunctionStats]) {
    let mut by_function = |name, kind, help, value: fn(&FunctionStats) -> u64| {
        let family = page.family(name, kind, help);
        functions.iter().fold(family, |family, stats| {
            family.sample(&[("function", &stats.function)], value(stats))
        });
    };
    by_function(
        "stepcast_runs_started_total",
        Kind::Counter,
        "Runs that were executed for the first time.",
        |stats| stats.started,
    );
    by_function(
        "stepcast_runs_running",
        Kind::Gauge,
        "Runs that have a place: they execute, or wait in memory.",
        |stats| stats.running as u64,
    );
    by_function(
        "stepcast_runs_queued",
        Kind::Gauge,
        "Runs that are due and wait for a place, as far as they are in memory.",
        |stats| stats.queued as u64,
    );
    by_function(
        "stepcast_runs_queued_more",
        Kind::Gauge,
        "Whether further runs may wait in the store only.",
        |stats| u64::from(stats.has_more_queued),
    );
    let ended = page.family(
        "stepcast_runs_ended_total",
        Kind::Counter,
        "Runs that have ended, by how.",
    );
    functions.iter().fold(ended, |family, stats| {
        let function = ("function", &*stats.function);
        family
            .sample(&[function, ("status", "completed")], stats.completed)
            .sample(&[function, ("status", "failed")], stats.failed)
            .sample(&[function, ("status", "cancelled")], stats.cancelled)
    });
}

fn steps(page: &mut Exposition, engine: &EngineStats) {
    let family = page.family(
        "stepcast_step_duration_seconds",
        Kind::Histogram,
        "From the first attempt of a step to the commit of its result, with pauses and waits.",
    );
    engine
        .steps
        .millis
        .iter()
        .fold(family, |family, (verb, seen)| {
            family.histogram(&[("verb", verb.as_str())], seen, 1e3)
        });
    page.family(
        "stepcast_step_retries_total",
        Kind::Counter,
        "Failed attempts of steps that were followed by another one.",
    )
    .sample(&[], engine.steps.retries);
}

fn memory(page: &mut Exposition, engine: &EngineStats) {
    let mut gauge = |name, help, value: usize| {
        page.family(name, Kind::Gauge, help)
            .sample(&[], value as u64);
    };
    gauge(
        "stepcast_runs_in_memory",
        "Runs in memory, with those that leave it next.",
        engine.runs_in_memory,
    );
    gauge(
        "stepcast_timers",
        "Timers in memory; when there are more than 10,000, later ones may be in the store only.",
        engine.timers,
    );
    gauge(
        "stepcast_event_waits",
        "Steps and runs that wait for an event or a signal.",
        engine.event_waits,
    );
    gauge("stepcast_channels", "Channels in memory.", engine.channels);
    gauge(
        "stepcast_tail_bytes",
        "Bytes of messages that channels hold in memory, as of at most a second ago.",
        engine.tail_bytes,
    );
    gauge(
        "stepcast_unwritten_bytes",
        "Bytes of messages that were accepted and are not written yet.",
        engine.unwritten_bytes,
    );
}

fn store(page: &mut Exposition, engine: &EngineStats) {
    let store = &engine.store;
    page.family(
        "stepcast_store_commit_duration_seconds",
        Kind::Histogram,
        "From the beginning of a transaction to the end of its fsync.",
    )
    .histogram(&[], &store.commit_micros, 1e6);
    page.family(
        "stepcast_store_commit_batches",
        Kind::Histogram,
        "Batches that were committed by one transaction.",
    )
    .histogram(&[], &store.group_batches, 1.0);
    page.family(
        "stepcast_store_batches_total",
        Kind::Counter,
        "Batches, by what became of them; those are refused whose condition did not hold.",
    )
    .sample(&[("outcome", "committed")], store.batches)
    .sample(&[("outcome", "refused")], store.refused)
    .sample(&[("outcome", "failed")], store.failed);
    page.family(
        "stepcast_store_waiting_batches",
        Kind::Gauge,
        "Batches that wait for the store.",
    )
    .sample(&[], store.waiting_batches as u64);
    page.family(
        "stepcast_store_waiting_bytes",
        Kind::Gauge,
        "Bytes of batches that wait for the store, roughly.",
    )
    .sample(&[], store.waiting_bytes as u64);
}

fn readers(page: &mut Exposition, observed: &Observed) {
    let Stats {
        connections,
        plain,
        native_sent,
        plain_sent,
        ..
    } = observed.sockets;
    let transports = [
        ("websocket", (connections - plain, native_sent)),
        ("websocket_npm", (plain, plain_sent)),
        ("sse", observed.event_streams),
        ("poll", observed.polls),
    ];
    let mut by_transport = |name, kind, help, value: fn(usize, Sent) -> u64| {
        let family = page.family(name, kind, help);
        transports
            .iter()
            .fold(family, |family, (transport, (open, sent))| {
                family.sample(&[("transport", transport)], value(*open, *sent))
            });
    };
    by_transport(
        "stepcast_connections",
        Kind::Gauge,
        "Open connections of readers.",
        |open, _| open as u64,
    );
    by_transport(
        "stepcast_deliveries_total",
        Kind::Counter,
        "Messages, once for each reader that was given them.",
        |_, sent| sent.deliveries,
    );
    by_transport(
        "stepcast_sent_bytes_total",
        Kind::Counter,
        "Bytes that readers were given, with everything that is not a message.",
        |_, sent| sent.bytes,
    );
    by_transport(
        "stepcast_gaps_told_total",
        Kind::Counter,
        "Gaps that readers were told.",
        |_, sent| sent.gaps,
    );
    page.family(
        "stepcast_v4_gaps_total",
        Kind::Counter,
        "Gaps of npm inngest readers, which cannot be told.",
    )
    .sample(&[], observed.sockets.plain_gaps);
}

fn sockets(page: &mut Exposition, sockets: &Stats) {
    let mut gauge = |name, help, value: usize| {
        page.family(name, Kind::Gauge, help)
            .sample(&[], value as u64);
    };
    gauge(
        "stepcast_readers_behind",
        "WebSocket connections that are not where their channels are.",
        sockets.behind,
    );
    gauge(
        "stepcast_sockets_full",
        "WebSocket connections whose socket takes nothing more at the moment.",
        sockets.full,
    );
    gauge(
        "stepcast_sockets_closing",
        "WebSocket connections that were told to end and have not yet.",
        sockets.closing,
    );
    gauge(
        "stepcast_unsent_bytes",
        "Bytes kept for sockets that are full.",
        sockets.unsent_bytes,
    );
}
