// Where this server is not like the recorded one on purpose: what it does instead, and why.

/** An additional field; clients ignore those that they do not know. */
const isMore = (recorded) => recorded === undefined;
/** A field or header that nobody reads. */
const isLess = (_, ours) => ours === undefined;
const isPublish = ({ url }) => url.startsWith("/v1/realtime/publish?");
const lacks = (name, { url }) => !new URL(url, "http://server").searchParams.has(name);
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const ENVIRONMENT = "00000000-0000-4000-b000-000000000000";

/**
 * Differences that are meant, each with its reason: of what (`of`), at which path (`at`), and what holds for the recorded value and ours
 * (`is`), which is also given the request that was answered.
 */
export const RULES = [
  {
    of: ["answer", "upgrade"],
    at: /^\.headers\.(vary|access-control-(allow-origin|expose-headers))$/,
    is: (_, ours) => [undefined, "*", "Content-Type"].includes(ours),
    why: "what a token guards answers every origin alike (`*`), so that nothing varies by origin; the rest is not for browsers",
  },
  {
    of: ["answer"],
    at: /^\.headers\.content-type$/,
    is: (recorded, ours) => recorded === "text/plain; charset=utf-8" && ours === "application/json",
    why: "JSON is called JSON",
  },
  {
    of: ["answer"],
    at: /^\.headers\.content-type$/,
    is: (recorded, ours, request) => recorded === "application/json" && ours === undefined && request.url.startsWith("/v1/checkpoint/"),
    why: "an empty body is no JSON",
  },
  {
    of: ["answer"],
    at: /^\.(headers\.cache-control|body\.json\.metadata\.cached_until)$/,
    is: isLess,
    why: "runs are not cached, so that who polls sees a run's end at once",
  },
  {
    of: ["answer"],
    at: /^\.body\.json\.(sync_id|app_id)$/,
    is: isLess,
    why: "optional in the answer to a registration; syncs have no ids here, and an app is named by its name",
  },
  {
    of: ["answer"],
    at: /^\.body\.json\.(runs|code|data\.\d\.(attempt|created_at|error))$/,
    is: isMore,
    why: "more than clients of npm `inngest` know: the runs that events have started, codes of errors, and more of a run",
  },
  {
    of: ["answer"],
    at: /^\.body\.json\.data\.\d\.function_id$/,
    is: (_, ours) => /^peerlab-[a-z-]+$/.test(ours),
    why: "functions have no id beside `<app>-<function>`",
  },
  {
    of: ["answer"],
    at: /^\.body\.json\.data\.\d\.function_version$/,
    is: (recorded, ours) => recorded === 0 && ours === 1,
    why: "versions of functions are not counted",
  },
  {
    of: ["answer"],
    at: /^\.body\.json\.data\.\d\.environment_id$/,
    is: (recorded, ours) => /^[0-]+$/.test(recorded) && ours === ENVIRONMENT,
    why: "runs are in the one environment of a dev server, as messages are",
  },
  {
    of: ["answer"],
    at: /^\.body\.json\.error$/,
    is: (recorded, ours) => typeof recorded === "string" && ours?.length > recorded.length,
    why: "errors say what is wrong and what to do",
  },
  refusal(413, "too_large", (request) => isPublish(request) && request.body?.repeat, "a message over the limit is refused instead of cut"),
  refusal(400, "bad_topic", (request) => isPublish(request) && lacks("topic", request), "a message for no topic is refused instead of lost"),
  refusal(400, "bad_channel", (request) => isPublish(request) && lacks("channel", request), "a message for no channel is refused instead of lost"),
  refusal(400, "bad_topic", ({ url, body }) => url === "/v1/realtime/token" && body?.json?.length === 0, "a token for no topic would open nothing"),
  {
    of: ["call"],
    at: /^\.headers\.user-agent$/,
    is: (_, ours) => /^stepcast\/[\d.]+$/.test(ours),
    why: "it is another server",
  },
  {
    of: ["call"],
    at: /^\.headers\.(account-id|traceparent|tracestate)$/,
    is: isLess,
    why: "there are no accounts, and calls are not traced unless the server is; the SDK needs none of these",
  },
  {
    of: ["call"],
    at: /^\.(headers\.x-inngest-req-version|body\.json\.version)$/,
    is: (recorded, ours) => Number(recorded) === -1 && Number(ours) === 2,
    why: "the version of the protocol that the SDK has answered with counts from its first answer on, also when that is an error",
  },
  {
    of: ["call"],
    at: /^\.body\.json\.ctx\.qi_id$/,
    is: (_, ours) => ULID.test(ours),
    why: "it names the call, which holds the run's lease, instead of what the call was queued as; the SDK only gives it back",
  },
  {
    of: ["call"],
    at: /^\.(headers\.x-inngest-job-id|body\.json\.ctx\.job_id)$/,
    is: (_, ours) => ULID.test(ours),
    why: "a job is a run here: nothing between a run and its calls has an id",
  },
  {
    of: ["call"],
    at: /^\.body\.json\.ctx\.stack\.current$/,
    is: (recorded, ours) => recorded === 0 && ours === 1,
    why: "`current` is always how many steps are remembered, also in the next attempt",
  },
  {
    of: ["call"],
    at: /\._inngest\.(gid|isr|tc|source_app_id|source_fn_v)$/,
    is: isLess,
    why: "what the recorded server keeps for itself in an event that invokes a function; the SDK takes it out of sight",
  },
  {
    of: ["call"],
    at: /\._inngest\.source_fn_id$/,
    is: (_, ours) => ours === "peerlab-parent",
    why: "functions have no id beside `<app>-<function>`",
  },
  {
    of: ["call"],
    at: /\.data\.events\.\d\.user$/,
    is: (recorded, ours) => isMore(recorded) && Object.keys(ours).length === 0,
    why: "events have one form, wherever they are",
  },
  {
    of: ["call"],
    at: /\.error\.__serialized$/,
    is: (recorded, ours) => isMore(recorded) && ours === true,
    why: "a step's error is given back as the app has serialized it",
  },
  {
    of: ["message", "event"],
    at: /^(\.data)?\.id$/,
    is: (recorded, ours) => isMore(recorded) && /^\d+-\d+$/.test(ours),
    why: "messages have cursors, with which native clients resume",
  },
  {
    of: ["message", "event"],
    at: /^(\.data)?\.attempt$/,
    is: (recorded, ours) => isMore(recorded) && ours >= 1,
    why: "messages say which attempt has published them",
  },
  {
    of: ["close"],
    at: /^\.reason$/,
    is: (_, ours) => ours === "",
    why: "the answer to a close repeats its code; its reason was for us",
  },
  {
    of: ["close"],
    at: /^\.code$/,
    is: (recorded, ours) => recorded === null && ours === 1000,
    why: "a close without a code is answered as a normal one",
  },
];

/** The rule by which a difference is meant, if it is. */
export function ruleFor({ what, path, recorded, ours, request }) {
  return RULES.find(({ of, at, is = () => true }) => of.includes(what) && at.test(path) && is(recorded, ours, request));
}

/** Requests that are refused, with this status and an error of this code, and were not. */
function refusal(status, code, isRefused, why) {
  const isIt = ({ status: answered, body: { json } }) => answered === status && json.code === code && json.error.length > 20;
  return { of: ["answer"], at: /^$/, is: (_, ours, request) => isRefused(request) && isIt(ours), why };
}

/** What we say instead of a recorded message; nothing, if we say nothing. */
export function messageFor(recorded, past) {
  // A stream of text arrives as messages on its topic, as npm `inngest` 4.24 does not survive the frames that announce one.
  if (recorded.kind === "datastream-start" || recorded.kind === "datastream-end") return undefined;
  if (recorded.kind === "chunk") {
    const start = past.findLast(({ json }) => json?.kind === "datastream-start").json;
    return { ...start, kind: "data", data: recorded.data };
  }
  // What was cut is refused.
  if (recorded.data === "(the first 524288 bytes of the body)") return undefined;
  return recorded;
}

/** What we answer instead of a recorded answer. */
export function answerFor(recorded, request, past) {
  if (!/^\/v1\/events\/[^/]+\/runs$/.test(request.url)) return recorded;
  // The recorded server forgets what a checkpointed run has returned; a run's output is that.
  const answer = structuredClone(recorded);
  for (const run of answer.body.json.data.filter(({ output }) => output === "")) run.output = returnedBy(run.run_id, past);
  return answer;
}

/** What we call an app with instead of a recorded call. */
export function callFor(recorded, past) {
  // Of steps that end at once, the recorded server sorts some otherwise than they were answered. Here a step comes when its answer does.
  const answered = past.filter(({ ev, label }) => ev === "res" && label === "app").flatMap(({ body }) => [body.json].flat());
  const place = (id) => answered.findIndex((op) => op.id === id && op.op === "StepRun");
  const call = structuredClone(recorded);
  const { stack } = call.body.json.ctx;
  if (stack.stack.every((id) => place(id) >= 0)) stack.stack.sort((one, other) => place(one) - place(other));
  return call;
}

/**
 * The message with which a page of npm `inngest` is told that the run behind its channel has ended, which the recorded server never does. The
 * result is for those whose token names `$run`.
 */
export function terminalMessage({ channel, topics }, past) {
  const first = past.find(({ ev, label }) => ev === "req" && label === "app");
  if (!first) return undefined;
  const { event, ctx } = first.body.json;
  const names = [ctx.run_id, event.id, event.data.runId];
  if (!channel.split(/[:/]/).some((segment) => names.includes(segment))) return undefined;
  const failed = callsOf(ctx.run_id, past).some(({ answer }) => answer?.status === 400);
  const [created_at, env_id] = [new Date(0).toISOString(), ENVIRONMENT];
  const data = failed ? { status: "failed" } : { status: "completed", ...(topics.includes("$run") && { result: returnedBy(ctx.run_id, past) }) };
  return { kind: "run", data, created_at, channel, env_id, topic: "$run", run_id: ctx.run_id };
}

/** Whether a message tells where a run or a step of it is, as those hear whose token names `$run` or `$step`. */
export function isNews(message, { channel, topics }) {
  const kind = { $run: "run", $step: "data" }[message.topic];
  return kind === message.kind && topics.includes(message.topic) && message.channel === channel && typeof message.data.status === "string";
}

function returnedBy(run, past) {
  const ops = callsOf(run, past).flatMap(({ answer }) => (answer?.status === 206 ? answer.body.json : []));
  return ops.find(({ op }) => op === "RunComplete").data;
}

function callsOf(run, past) {
  const calls = past.filter(({ ev, label, headers }) => ev === "req" && label === "app" && headers["x-run-id"] === run);
  return calls.map((call) => ({ call, answer: past.find(({ ev, label, id }) => ev === "res" && label === "app" && id === call.id) }));
}
