//! The names of the headers that an SDK and its server exchange, and how they are looked up.
//!
//! Names are lower-case, as HTTP libraries keep them.

/// [`Signature`](super::Signature) of a request or an answer.
pub const SIGNATURE: &str = "x-inngest-signature";
/// Which SDK speaks, e.g. `inngest-js:v4.24.0`. Only an SDK's answers have it.
pub const SDK: &str = "x-inngest-sdk";
/// `true` on every answer of an SDK's handler, also on those that keep the other headers back.
pub const SDK_HANDLED: &str = "x-inngest-sdk-handled";
/// What the app runs in, e.g. `nextjs`.
pub const FRAMEWORK: &str = "x-inngest-framework";
/// The host of the app, e.g. `vercel`.
pub const PLATFORM: &str = "x-inngest-platform";
/// The branch environment, when the app names one.
pub const ENVIRONMENT: &str = "x-inngest-env";
/// What the server is: `dev` or `cloud`.
pub const SERVER_KIND: &str = "x-inngest-server-kind";
/// What the SDK takes the server for.
pub const EXPECTED_SERVER_KIND: &str = "x-inngest-expected-server-kind";
/// How an app is synced: [`IN_BAND`] or [`OUT_OF_BAND`].
pub const SYNC_KIND: &str = "x-inngest-sync-kind";
/// [`ProtocolVersion`](super::ProtocolVersion) of a call or an answer.
pub const REQUEST_VERSION: &str = "x-inngest-req-version";
/// Whether the SDK forbids another attempt: `true` or `false`.
pub const NO_RETRY: &str = "x-inngest-no-retry";
/// When the SDK wants its next attempt.
pub const RETRY_AFTER: &str = "retry-after";
/// Where the ids of sent events come from, so that a repeated request gives the same ones.
pub const EVENT_ID_SEED: &str = "x-inngest-event-id-seed";
/// The run of a call.
pub const RUN_ID: &str = "x-run-id";
/// The id of one call.
pub const REQUEST_ID: &str = "x-request-id";
/// How often the item of a call was given out.
pub const GENERATION_ID: &str = "x-inngest-generation-id";
/// The item of a call.
pub const JOB_ID: &str = "x-inngest-job-id";
/// The node of the function's graph that a call is for; there is one.
pub const STEP_ID: &str = "x-inngest-step-id";

/// The app answers a sync with its configuration.
pub const IN_BAND: &str = "in_band";
/// The app registers by a request of its own.
pub const OUT_OF_BAND: &str = "out_of_band";
