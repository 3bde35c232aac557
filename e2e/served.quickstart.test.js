// The quick start of npm inngest, unmodified, on `stepcast dev`: functions that publish, and those who read along.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { getClientSubscriptionToken } from "inngest/react";
import { getSubscriptionToken, subscribe } from "inngest/realtime";

import { takeUntil } from "./support/deadline.js";
import { gate } from "./support/gate.js";
import { dataOf, freshName, pipelineChannel, topics, untilRunEnded } from "./support/pipeline.js";
import { runsOf, startServed } from "./support/served.js";

const timeout = 60_000;

const TEXT = "Grüße, 世界 🌍! ".repeat(300);
const ASIDE = { halted: gate(), released: gate() };

let served;
before(async () => {
  served = await startServed({ functions, options: ["--expose-result", "e2e-aside"] });
}, { timeout });
after(() => served?.stop());

function functions(inngest) {
  const create = (id, event, handler, options) => inngest.createFunction({ id, triggers: [{ event }], ...options }, handler);
  return [
    create("generate", "app/generate", async ({ event, step }) => {
      const channel = pipelineChannel({ runId: event.data.runId });
      await inngest.realtime.publish(channel.status, { message: "Starting..." });
      await step.run("stream-output", async () => {
        for (const token of ["Hello", " ", "world"]) await inngest.realtime.publish(channel.tokens, { token });
      });
      await step.realtime.publish("final-status", channel.status, { message: "Done!", step: "complete" });
      return { generated: event.data.runId };
    }),
    create("stream", "app/stream", async ({ event, step }) => {
      const channel = pipelineChannel({ runId: event.data.runId });
      await step.run("stream", () => inngest.realtime.publish(channel.tokens, slowly(TEXT)));
    }),
    create("misspeak", "app/misspeak", async ({ event }) => {
      await inngest.realtime.publish(pipelineChannel({ runId: event.data.runId }).status, { text: "no message" });
    }, { retries: 0 }),
    create("aside", "app/aside", async ({ step }) => {
      await step.run("halt", () => (ASIDE.halted.open(), ASIDE.released.opened));
      return "went aside";
    }),
  ];
}

/** A stream whose chunks end in the middle of characters. */
function slowly(text) {
  const bytes = Buffer.from(text);
  const chunks = [];
  for (let at = 0; at < bytes.length; at += 701) chunks.push(bytes.subarray(at, at + 701));
  return ReadableStream.from(chunks);
}

const SAID = [
  ["status", { message: "Starting..." }],
  ["tokens", { token: "Hello" }],
  ["tokens", { token: " " }],
  ["tokens", { token: "world" }],
  ["status", { message: "Done!", step: "complete" }],
];

for (const [name, tokenFor] of [
  ["getClientSubscriptionToken, as a page gets it", getClientSubscriptionToken],
  ["getSubscriptionToken", getSubscriptionToken],
  ["inngest.realtime.token", (inngest, options) => inngest.realtime.token(options)],
]) {
  test(`a run is read from its first message to its end with ${name}`, { timeout }, async () => {
    const { messages, runId } = await subscribed(tokenFor);
    const [run] = await runsOf(served, { name: "app/generate", data: { runId } });
    assert.equal(run.status, "Completed");
    assert.deepEqual(run.output, { generated: runId });

    const seen = await untilRunEnded(messages);
    assert.deepEqual(seen.slice(0, -1).map(({ topic, data }) => [topic, data]), SAID);
    for (const message of seen) {
      assert.equal(message.runId, run.run_id);
      assert.equal(message.channel, `pipeline:${runId}`);
      assert.ok(message.createdAt instanceof Date && !Number.isNaN(message.createdAt.getTime()));
    }
    assert.equal(seen.at(-1).data.status, "completed");
  });
}

test("one call of the app does it all", { timeout }, async () => {
  const before = served.app.callsOf("e2e-generate").length;
  await runsOf(served, { name: "app/generate", data: { runId: freshName() } });
  assert.equal(served.app.callsOf("e2e-generate").length - before, 1);
});

test("a token that was minted before the event shows the whole run, however late the reader comes", { timeout }, async () => {
  const runId = freshName();
  const token = await served.inngest.realtime.token({ channel: pipelineChannel({ runId }), topics });
  await runsOf(served, { name: "app/generate", data: { runId } });
  const messages = await subscribe(token);
  const seen = await takeUntil(messages, ({ data }) => data.message === "Done!", "the last message");
  messages.close();
  assert.deepEqual(seen.map(({ topic, data }) => [topic, data]), SAID);
});

test("a callback and a topic less", { timeout }, async () => {
  const runId = freshName();
  const seen = [];
  const ended = gate();
  const subscription = await served.inngest.realtime.subscribe({
    channel: pipelineChannel({ runId }),
    topics: ["tokens"],
    onMessage: (message) => {
      seen.push(message);
      if (message.kind === "run") ended.open();
    },
  });
  await runsOf(served, { name: "app/generate", data: { runId } });
  await ended.opened;
  subscription.unsubscribe();
  assert.deepEqual(dataOf(seen, "tokens").map(({ token }) => token).join(""), "Hello world");
  assert.deepEqual(dataOf(seen, "status"), []);
});

test("a text stream arrives as pieces of whole characters, in order", { timeout }, async () => {
  const { messages, runId } = await subscribed(getSubscriptionToken);
  await runsOf(served, { name: "app/stream", data: { runId } });
  const pieces = dataOf(await untilRunEnded(messages), "tokens");
  assert.ok(pieces.length > 1 && pieces.every((piece) => typeof piece === "string"), JSON.stringify(pieces).slice(0, 200));
  assert.equal(pieces.join(""), TEXT);
});

test("what does not fit the channel's schema fails the function, and its reader sees the end", { timeout }, async () => {
  const { messages, runId } = await subscribed(getSubscriptionToken);
  const [run] = await runsOf(served, { name: "app/misspeak", data: { runId } });
  assert.equal(run.status, "Failed");
  assert.match(run.output.message, /validation failed/i);
  served.inngest.realtime.publish(pipelineChannel({ runId }).status, { message: "from outside" });
  const seen = await takeUntil(messages, ({ kind }) => kind === "data", "what was said from outside");
  messages.close();
  assert.deepEqual(dataOf(seen, "status"), [{ message: "from outside" }]);
});

test("the topic $run of a run's own channel tells its statuses and its result", { timeout }, async () => {
  const { ids } = await served.inngest.send({ name: "app/aside", data: {} });
  await ASIDE.halted.opened;
  const [{ run_id: channel, status }] = await served.runs.of(ids[0]);
  assert.equal(status, "Running");
  const messages = await subscribe({ ...(await served.inngest.realtime.token({ channel, topics: ["$run"] })) });
  ASIDE.released.open();

  const seen = await takeUntil(messages, ({ data }) => data.status === "completed", "the end of the run");
  messages.close();
  assert.ok(seen.every(({ kind, runId, topic }) => kind === "run" && runId === channel && topic === "$run"), JSON.stringify(seen));
  assert.equal(seen.at(-1).data.result, "went aside");
});

async function subscribed(tokenFor) {
  const runId = freshName();
  const channel = pipelineChannel({ runId });
  const { key, apiBaseUrl } = await tokenFor(served.inngest, { channel, topics });
  assert.equal(apiBaseUrl, served.stepcast.url);
  return { runId, messages: await subscribe({ channel, topics, key, apiBaseUrl }) };
}
