// The npm package `stepcast` in Node: sending, publishing, tokens and reading, over a WebSocket and over server-sent events.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { takeUntil, within } from "./support/deadline.js";
import { freshJob, startQuickstart } from "./support/quickstart.js";

const timeout = 60_000;
const topics = ["status", "tokens"];

let quickstart;
let stepcast;
let realtime;
let pipeline;

before(async () => {
  const { Stepcast, realtime: define, staticSchema } = await import("../packages/stepcast/dist/index.js");
  realtime = await import("../packages/stepcast/dist/realtime.js");
  pipeline = define.channel({
    name: ({ job }) => `pipeline:${job}`,
    topics: { status: { schema: staticSchema() }, tokens: { schema: staticSchema(), text: "token" } },
  });
  quickstart = await startQuickstart();
  stepcast = new Stepcast({ url: quickstart.url });
}, { timeout });
after(() => quickstart?.stop());

const isDone = ({ topic, data }) => topic === "status" && data.message === "Done!";
const textOf = (messages) => messages.filter(({ topic }) => topic === "tokens").map(({ data }) => data.token).join("");

test("an event starts a run, and a subscriber sees it from its first message to its last", { timeout }, async () => {
  const job = freshJob();
  const channel = pipeline({ job });
  const messages = await stepcast.realtime.subscribe({ channel, topics });
  const { ids, runs } = await stepcast.send({ name: "app/generate", data: { job } });
  assert.equal(ids.length, 1);
  const seen = await takeUntil(messages, isDone, "the end of the run");
  assert.equal(textOf(seen), "Hello world");
  assert.deepEqual(new Set(seen.map(({ runId }) => runId)), new Set(runs[0]));

  const late = await stepcast.realtime.subscribe({ channel, topics, from: "start" });
  // What folds comes first, one topic after the other.
  const again = await takeUntil(late, ({ topic }) => topic === "tokens", "the text");
  assert.deepEqual(again.map(({ data, isSnapshot }) => [data.message ?? data.token, isSnapshot]), [["Done!", true], ["Hello world", true]]);
});

test("what is published has a place, and is read from there on", { timeout }, async () => {
  const channel = pipeline({ job: freshJob() });
  const { id } = await stepcast.realtime.publish(channel.tokens, { token: "a" }, { durable: true, idempotencyKey: "a" });
  assert.deepEqual(await stepcast.realtime.publish(channel.tokens, { token: "a" }, { idempotencyKey: "a" }), { id });
  await stepcast.realtime.publish(channel.tokens, { token: "b" });
  const token = await realtime.getSubscriptionToken(stepcast, { channel, topics: ["tokens"] });
  const messages = await realtime.subscribe({ ...token, from: id });
  const [message] = await takeUntil(messages, () => true, "a message");
  assert.deepEqual(message.data, { token: "b" });
});

test("many messages in one request are published in order, or none", { timeout }, async () => {
  const channel = pipeline({ job: freshJob() });
  const messages = await stepcast.realtime.subscribe({ channel, topics: ["status"] });
  const items = ["a", "b\nc", "Done!"].map((message) => ({ message }));
  const { ids } = await stepcast.realtime.publishAll(channel.status, items);
  const seen = await takeUntil(messages, isDone, "the last of them");
  assert.deepEqual(seen.map(({ id, data }) => [id, data.message]), items.map(({ message }, index) => [ids[index], message]));
  const wrong = stepcast.realtime.publishAll(channel.status, [{ message: "d" }, { massage: "e" }]);
  await assert.rejects(wrong, { code: "schema_violation", message: /^line 2: / });
});

test("server-sent events give the same, through the death of the server", { timeout }, async () => {
  const job = freshJob();
  const { platform } = (await import("../packages/stepcast/dist/connection/platform.js"));
  const withoutSockets = Object.create(platform, { WebSocket: { value: undefined } });
  const errors = [];
  const messages = await stepcast.realtime.subscribe({
    channel: pipeline({ job }), topics, from: "start", platform: withoutSockets, onError: (error) => errors.push(error.code),
  });
  await stepcast.send({ name: "app/generate", data: { job } });
  const iterator = messages[Symbol.asyncIterator]();
  await within(iterator.next(), () => "a first message");
  quickstart = await quickstart.crash();
  const rest = await takeUntil({ [Symbol.asyncIterator]: () => iterator }, isDone, "the end of the run");
  assert.ok(rest.some(({ data }) => data.message === "Done!"));
});

test("refusals have the server's words", { timeout }, async () => {
  await assert.rejects(realtime.subscribe({ channel: "c", topics: ["t"], key: "a.b.c", apiBaseUrl: quickstart.url }), { code: "bad_token", retryable: false });
  const app = stepcast;
  await assert.rejects(realtime.subscribe({ channel: "c", topics: ["t"], app, from: "yesterday" }), { code: "bad_cursor" });
  await assert.rejects(stepcast.realtime.token({ channel: "c", topics: [] }), { code: "bad_topic" });
});
