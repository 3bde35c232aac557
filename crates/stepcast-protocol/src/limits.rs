//! Every bound of Stepcast, in one place. An error that refuses something names the bound it hit.

use std::time::Duration;

/// Bytes of a channel, topic, event, function or step name.
pub const NAME_BYTES: usize = 256;
/// Bytes of one parameter of a channel's name.
pub const PARAMETER_BYTES: usize = 128;
/// Bytes of a message's payload.
pub const MESSAGE_BYTES: usize = 512 * 1024;
/// Topics of one request to publish.
pub const TOPICS_PER_PUBLISH: usize = 64;
/// Messages of one request that has one per line, over all of its topics.
pub const LINES: usize = 10_000;
/// Bytes of such a request.
pub const LINES_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of text in one request that is passed on to `$stream`.
pub const TEE_BYTES: usize = 1_024_000;
/// Messages of a `log` topic, unless topic or server say otherwise.
pub const LOG_MESSAGES: u64 = 10_000;
/// Bytes of a `log` topic's payloads, unless topic or server say otherwise.
pub const LOG_BYTES: u64 = 4 * 1024 * 1024;
/// How long a message stays after its run's end, or after it was accepted when no run published it.
pub const LOG_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of the text that one run says on one `text` topic.
pub const TEXT_BYTES: usize = 1024 * 1024;
/// How long after its run's end the deltas of a text are kept one by one.
pub const TEXT_FOLD_AFTER: Duration = Duration::from_secs(10 * 60);
/// Messages that a reader may ask for with `last(n)`.
pub const LAST_MESSAGES: u64 = 1_000;
/// Messages that the body of one run may publish outside its steps, over all its replays.
pub const BODY_MESSAGES_PER_RUN: usize = 10_000;
/// Bytes of one event's data.
pub const EVENT_BYTES: usize = 3 * 1024 * 1024;
/// Events in one request.
pub const EVENTS_PER_REQUEST: usize = 5_000;
/// Bytes of one step's result.
pub const MEMO_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of all results of one run.
pub const RUN_STATE_BYTES: usize = 32 * 1024 * 1024;
/// Steps of one run.
pub const STEPS_PER_RUN: usize = 1_000;
/// Channels and topics on which an attempt of a step speaks at most, when it is executed outside of this process. What it says elsewhere is
/// published without being attributed to it.
pub const TOPICS_PER_ATTEMPT: usize = 1_000;
/// Functions whose runs are counted by themselves; those of the others are counted together.
pub const COUNTED_FUNCTIONS: usize = 200;
/// Runs that have their function in memory.
pub const RUNS_IN_MEMORY: usize = 1_024;
/// Runs of one function that execute at once.
pub const CONCURRENCY_PER_FUNCTION: usize = 64;
/// Crashes in a row, without a new committed step, after which a run fails.
pub const CRASHES_WITHOUT_PROGRESS: u32 = 5;
/// Bytes of a channel's messages that the store has not written yet.
pub const UNWRITTEN_BYTES_PER_CHANNEL: usize = 256 * 1024;
/// Bytes of all messages that the store has not written yet.
pub const UNWRITTEN_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of one channel's tail that stay in memory once they are written.
pub const TAIL_BYTES_PER_CHANNEL: usize = 1024 * 1024;
/// Bytes of all tails in memory.
pub const TAIL_BYTES: usize = 64 * 1024 * 1024;
/// How long a message that is not durable waits for a group before it makes one.
pub const WRITE_DELAY: Duration = Duration::from_millis(10);
/// Batches in one transaction of the store.
pub const GROUP_BATCHES: usize = 512;
/// Bytes in one transaction of the store.
pub const GROUP_BYTES: usize = 1024 * 1024;
/// Rows of one read of the store.
pub const PAGE_ROWS: usize = 1_000;
/// Bytes of messages of one read of the store.
pub const PAGE_BYTES: usize = 1024 * 1024;
/// Free disk space below which publishers get `no_space`.
pub const FREE_DISK_BYTES: u64 = 64 * 1024 * 1024;
/// How long `open` waits for the file's owner to go.
pub const OWNER_WAIT: Duration = Duration::from_secs(10);
/// How long a token allows a connection to be opened.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(60);
/// How long a token for the browser's `EventSource`, which cannot refresh, may be asked to live.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a native connection may read on after it has shown a token that does not say it.
pub const SESSION: Duration = Duration::from_secs(60 * 60);
/// The longest session a token may be asked to allow.
pub const SESSION_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Topics one token may name.
pub const TOPICS_PER_TOKEN: usize = 64;
/// Events on a page, unless the request says otherwise.
pub const EVENTS_ON_PAGE: usize = 20;
/// Events on a page at most.
pub const EVENTS_ON_PAGE_MAX: usize = 100;
/// Runs on a page, unless the request says otherwise.
pub const RUNS_ON_PAGE: usize = 20;
/// Runs on a page at most.
pub const RUNS_ON_PAGE_MAX: usize = 100;
/// Channels for which a reader is expected because a token was just minted.
pub const CHANNELS_EXPECTED: usize = 20_000;
/// Subscriptions of one connection.
pub const SUBSCRIPTIONS_PER_CONNECTION: usize = 256;
/// Connections from one address.
pub const CONNECTIONS_PER_ADDRESS: usize = 1_024;
/// Bytes of a frame that a WebSocket client sends.
pub const CLIENT_FRAME_BYTES: usize = 32 * 1024;
/// Bytes of what comes back with the answer to a client's `ping` frame.
pub const PING_BYTES: usize = 256;
/// Bytes of answers that may wait for a socket before no more is read from it.
pub const ANSWER_BYTES: usize = 16 * 1024;
/// Over how much time clients are told to spread when they have to connect again.
pub const RECONNECT_SPREAD: Duration = Duration::from_secs(5);
/// How long a long poll may wait.
pub const POLL_WAIT: Duration = Duration::from_secs(30);
/// Frames in the answer to one long poll.
pub const POLL_FRAMES: usize = 1_000;
/// How often a connection is pinged.
pub const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long a socket may take nothing before it is closed.
pub const STALLED_SOCKET: Duration = Duration::from_secs(30);
/// Bytes of the key under which a message is published once.
pub const IDEMPOTENCY_KEY_BYTES: usize = 1_024;
/// How long a user's idempotency key is remembered.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// How long runs that have ended are kept, with their steps and events.
pub const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a run stays in memory while it only waits.
pub const PARK_AFTER: Duration = Duration::from_secs(60);
/// How long one attempt of a step may take unless step or function say otherwise.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// Bytes of an expression over events.
pub const EXPRESSION_BYTES: usize = 4 * 1024;
/// Levels to which an expression may nest.
pub const EXPRESSION_NESTING: usize = 32;
/// Steps that one evaluation of an expression may take: operators, fields, elements of lists, 64 bytes of a text; 8 for each byte that a
/// pattern is held against.
pub const EXPRESSION_WORK: usize = 100_000;
/// Patterns of `matches` that one expression may have.
pub const EXPRESSION_PATTERNS: usize = 8;
/// Bytes of the program that one pattern of `matches` may become.
pub const EXPRESSION_PATTERN_BYTES: usize = 64 * 1024;
/// Bytes of a cron schedule.
pub const SCHEDULE_BYTES: usize = 512;
/// The shortest time over which the runs of a schedule may be spread.
pub const JITTER_MIN: Duration = Duration::from_secs(1);
/// The longest time over which the runs of a schedule may be spread.
pub const JITTER_MAX: Duration = Duration::from_secs(5 * 60);
/// The longest that an SDK's step may sleep or wait.
pub const WAIT: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Bytes of a call to an SDK; a call with more state leaves it out and the SDK fetches it.
pub const CALL_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of an SDK's answer to a call.
pub const ANSWER_FROM_SDK_BYTES: usize = 8 * 1024 * 1024;
/// Calls of one run that an app is given at once; more steps of a parallel group wait for their turn.
pub const CALLS_PER_RUN: usize = 32;
/// Calls in a row by which a run may get nowhere, because its SDK asks to be called again.
pub const CALLS_WITHOUT_PROGRESS: u32 = 10;
/// Runs whose calls are remembered while nobody executes them.
pub const RUNS_REMEMBERED: usize = 10_000;
/// Calls without a result whose messages are refused from then on.
pub const LOST_CALLS_REMEMBERED: usize = 10_000;
/// Bytes of what an SDK reports before it answers.
pub const CHECKPOINT_BYTES: usize = 16 * 1024 * 1024;
/// Pauses before the attempts of functions and steps that apps serve.
pub const SERVED_PAUSES: &[Duration] = &[
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(20 * 60),
    Duration::from_secs(40 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(2 * 60 * 60),
];
/// Up to this is added to each of those pauses, by chance.
pub const SERVED_PAUSE_JITTER: Duration = Duration::from_secs(30);
/// How long an app may take to accept a connection.
pub const APP_CONNECT: Duration = Duration::from_secs(10);
/// How long a call to an app may take unless the server says otherwise.
pub const APP_CALL: Duration = Duration::from_secs(2 * 60 * 60);
/// How long a request that a function has the server make may take, with all its redirects and with the wait for its turn.
pub const ERRAND: Duration = Duration::from_secs(10 * 60);
/// How many such requests a server makes at once; others wait for their turn.
pub const ERRANDS: usize = 256;
/// How many of them may be of one function.
pub const ERRANDS_PER_FUNCTION: usize = 64;
/// Bytes of the head of an answer to such a request; some more where they are read in one go.
pub const ERRAND_HEAD_BYTES: usize = 64 * 1024;
/// Bytes of the body of such an answer for which there is always room.
pub const ERRAND_FIRST_BYTES: usize = 64 * 1024;
/// Bytes of the bodies of all such answers that are in memory at once. Longer answers are read on when there is room.
pub const ERRAND_ANSWERS_BYTES: usize = 64 * 1024 * 1024;
/// How often such a request is redirected.
pub const ERRAND_REDIRECTS: usize = 10;
/// How long an app may take to say what functions it has.
pub const APP_SYNC: Duration = Duration::from_secs(30);
/// How often an app is asked whether its functions have changed.
pub const APP_POLL: Duration = Duration::from_secs(5);
/// The shortest wait that an SDK may ask for before its next attempt.
pub const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// The longest wait that an SDK may ask for before its next attempt.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How far the time in a signature may lie from now.
pub const SIGNATURE_AGE: Duration = Duration::from_secs(5 * 60);
/// Bytes of a signing key's secret, written as hex digits.
pub const SIGNING_KEY_BYTES: usize = 16;
/// Functions of one app.
pub const FUNCTIONS_PER_APP: usize = 1_000;
/// Apps of one server.
pub const APPS: usize = 256;
/// Bytes of the registrations of all apps of one server.
pub const APPS_BYTES: usize = 64 * 1024 * 1024;
/// Triggers of one function.
pub const TRIGGERS_PER_FUNCTION: usize = 10;
/// Events that may cancel one function.
pub const CANCELS_PER_FUNCTION: usize = 5;
/// Concurrency rules of one function.
pub const CONCURRENCY_RULES: usize = 2;
/// Retries that a function may ask for, after its first attempt.
pub const RETRIES: u32 = 20;
/// Retries of a function that does not say how many it wants.
pub const RETRIES_UNLESS_SAID: u32 = 4;
/// Arrays and objects inside each other in JSON that is sent to an SDK.
pub const JSON_DEPTH: usize = 256;
