//! Every route, in one place. axum's `{name}` marks a parameter.

/// Shows apps, functions and runs to people.
pub const PAGE: &str = "/";
/// What the page is made of.
pub const PAGE_FILE: &str = "/page/{file}";
/// Sends events; the key names the environment.
pub const EVENTS: &str = "/e/{key}";
/// Mints a token.
pub const TOKEN: &str = "/v1/realtime/token";
/// Opens a WebSocket.
pub const CONNECT: &str = "/v1/realtime/connect";
/// Opens a stream of server-sent events.
pub const SSE: &str = "/v1/realtime/sse";
/// Answers with messages as soon as there are some.
pub const MESSAGES: &str = "/v1/realtime/messages";
/// The client for pages without a build.
pub const SCRIPT: &str = "/stepcast.js";
/// Publishes a message.
pub const PUBLISH: &str = "/v1/realtime/publish";
/// Passes text on to the readers of a channel as it comes.
pub const TEE: &str = "/v1/realtime/publish/tee";
/// Says what is kept of a channel.
pub const CHANNEL: &str = "/v1/channels/{channel}";
/// Says which channels are declared, for code generators.
pub const MANIFEST: &str = "/v1/manifest";
/// Lists runs.
pub const RUNS: &str = "/v1/runs";
/// Reads (`GET`) or cancels (`DELETE`) one run.
pub const RUN: &str = "/v1/runs/{id}";
/// Runs a run again (`POST`).
pub const RERUN: &str = "/v1/runs/{id}/rerun";
/// Takes what an SDK reports of a run before it answers a call.
pub const CHECKPOINT: &str = "/v1/checkpoint/{run}/async";
/// Gives an SDK what is remembered of a run's steps, when that is too large for a call.
pub const ACTIONS: &str = "/v0/runs/{id}/actions";
/// Gives an SDK the events of a run, when its state is too large for a call.
pub const BATCH: &str = "/v0/runs/{id}/batch";
/// Says what is still to be done for one run.
pub const RUN_JOBS: &str = "/v1/runs/{id}/jobs";
/// Takes what an SDK says about a run beside its steps.
pub const RUN_METADATA: &str = "/v1/runs/{id}/metadata";
/// Lists events, newest first.
pub const RECEIVED: &str = "/v1/events";
/// Reads one event.
pub const RECEIVED_EVENT: &str = "/v1/events/{id}";
/// Lists the runs that an event started.
pub const RUNS_OF_EVENT: &str = "/v1/events/{id}/runs";
/// Ends the wait of a run for a signal.
pub const SIGNALS: &str = "/v1/signals";
/// Lists apps with their functions, and what is asked for some.
pub const APPS: &str = "/v1/apps";
/// Lists an app's functions.
pub const APP_FUNCTIONS: &str = "/v1/apps/{name}/functions";
/// Starts a function by its id.
pub const INVOKE: &str = "/invoke/{function}";
/// Registers (`POST`) an app's functions.
pub const REGISTER: &str = "/fn/register";
/// Takes an app away (`DELETE`).
pub const REMOVE: &str = "/fn/remove";
/// Says what a server for development knows of apps.
pub const DEV: &str = "/dev";
/// Says that the process answers.
pub const HEALTH: &str = "/health";
/// Says whether new work is taken, and what stands in the way.
pub const READY: &str = "/ready";
/// Says what was done and what is held, for Prometheus.
pub const METRICS: &str = "/metrics";
