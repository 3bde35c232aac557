//! Every route, in one place. axum's `{name}` marks a parameter.

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
/// Publishes a message.
pub const PUBLISH: &str = "/v1/realtime/publish";
/// Says what is kept of a channel.
pub const CHANNEL: &str = "/v1/channels/{channel}";
/// Lists runs.
pub const RUNS: &str = "/v1/runs";
/// Reads (`GET`) or cancels (`DELETE`) one run.
pub const RUN: &str = "/v1/runs/{id}";
/// Says that the process answers.
pub const HEALTH: &str = "/health";
