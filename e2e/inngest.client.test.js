// The unmodified npm package `inngest` as a client: subscribing, minting tokens, publishing and sending events.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Inngest, realtime, staticSchema } from "inngest";
import { getSubscriptionToken, subscribe } from "inngest/realtime";
import { z } from "zod";

import { takeUntil } from "./support/deadline.js";
import { postJson } from "./support/http.js";
import { freshJob, startQuickstart } from "./support/quickstart.js";

const timeout = 60_000;

/** The quickstart's channel, as a TypeScript team would declare it. */
const pipeline = realtime.channel({
  name: ({ job }) => `pipeline:${job}`,
  topics: {
    status: { schema: z.object({ message: z.string(), step: z.string().optional() }) },
    tokens: { schema: staticSchema() },
  },
});
const topics = ["status", "tokens"];

let quickstart;
let inngest;

before(async () => {
  quickstart = await startQuickstart();
  inngest = new Inngest({ id: "e2e", isDev: true, baseUrl: quickstart.url });
}, { timeout });
after(() => quickstart?.stop());

test("a subscriber sees a run from its first message to its last, in order", { timeout }, async () => {
  const { job, channel, messages } = await subscribed();
  const { run_id: runId } = await post("start", { job });

  const seen = await untilDone(messages);
  assert.deepEqual(topicsOf(seen), ["status", "tokens", "tokens", "tokens", "status"]);
  assert.deepEqual(tokensOf(seen), ["Hello", " ", "world"]);
  assert.deepEqual(seen.at(-1).data, { message: "Done!", step: "complete" });
  for (const message of seen) {
    assert.equal(message.channel, channel.name);
    assert.equal(message.runId, runId);
    assert.ok(message.createdAt instanceof Date && !Number.isNaN(message.createdAt.getTime()));
  }
});

test("a run's own answer has a token for its channel", { timeout }, async () => {
  const run = await post("start", {});
  assert.match(run.channel, /^pipeline:./);
  const messages = await subscribe({ channel: run.channel, topics, key: run.token, apiBaseUrl: quickstart.url });

  const seen = await untilDone(messages);
  assert.deepEqual(tokensOf(seen), ["Hello", " ", "world"]);
  assert.equal(seen[0].runId, run.run_id);
});

test("a token minted before the run shows all of it, however late the subscriber comes", { timeout }, async () => {
  const job = freshJob();
  const { token: key } = await post("token", { job });
  const early = await subscribe({ channel: pipeline({ job }), topics, key, apiBaseUrl: quickstart.url });
  await post("start", { job });
  const seenEarly = await untilDone(early);

  const late = await subscribe({ channel: pipeline({ job }), topics, key, apiBaseUrl: quickstart.url });
  const seenLate = await untilDone(late);
  assert.deepEqual(seenLate.map(contentOf), seenEarly.map(contentOf));
});

test("only the topics of the token arrive", { timeout }, async () => {
  const job = freshJob();
  const token = await inngest.realtime.token({ channel: pipeline({ job }), topics: ["status"] });
  // The subscriber asks for more than the token permits, so that what is missing was kept back by the server.
  const messages = await subscribe({ ...token, topics });
  await post("start", { job });

  const seen = await untilDone(messages);
  assert.deepEqual([...new Set(topicsOf(seen))], ["status"]);
});

test("every way to mint a token gives one that works", { timeout }, async () => {
  const channel = pipeline({ job: freshJob() });
  const tokens = [
    await inngest.realtime.token({ channel, topics }),
    await getSubscriptionToken(inngest, { channel, topics }),
  ];
  for (const token of tokens) {
    assert.equal(token.apiBaseUrl, quickstart.url);
    const messages = await subscribe(token);
    messages.close();
  }
});

test("a bad token is refused", { timeout }, async () => {
  const channel = pipeline({ job: freshJob() });
  await assert.rejects(subscribe({ channel, topics, key: "not-a-token", apiBaseUrl: quickstart.url }));
});

test("publishing from outside a function reaches subscribers", { timeout }, async () => {
  const { channel, messages } = await subscribed();
  await inngest.realtime.publish(channel.tokens, { token: "from outside" });
  await inngest.realtime.publish(channel.status, { message: "Done!" });

  const seen = await untilDone(messages);
  assert.deepEqual(seen.map(contentOf), [
    { topic: "tokens", data: { token: "from outside" } },
    { topic: "status", data: { message: "Done!" } },
  ]);
});

test("the client's own subscribe mints its token and calls back", { timeout }, async () => {
  const job = freshJob();
  const seen = [];
  let done;
  const finished = new Promise((resolve) => (done = resolve));
  const subscription = await inngest.realtime.subscribe({
    channel: pipeline({ job }),
    topics,
    onMessage: (message) => {
      seen.push(message);
      if (isDone(message)) done();
    },
    onError: done,
  });
  await post("start", { job });

  assert.equal(await finished, undefined);
  subscription.unsubscribe();
  assert.deepEqual(tokensOf(seen), ["Hello", " ", "world"]);
});

test("an event starts a run", { timeout }, async () => {
  const { job, messages } = await subscribed();
  const { ids } = await inngest.send({ name: "app/generate", data: { job } });
  assert.equal(ids.length, 1);

  assert.deepEqual(tokensOf(await untilDone(messages)), ["Hello", " ", "world"]);
});

test("a channel named after its run says last that the run has completed, others never do", { timeout }, async () => {
  const [own, other] = [await subscribed(), await subscribed()];
  await inngest.send({ name: "app/generate", data: { job: own.job, runId: own.job } });
  await inngest.send({ name: "app/generate", data: { job: other.job } });

  const ended = (message) => message.kind === "run" && message.data.status === "completed";
  const all = await takeUntil(own.messages, ended, "the end of the run");
  own.messages.close();
  assert.deepEqual(tokensOf(all), ["Hello", " ", "world"]);
  assert.ok(isDone(all.at(-2)), "the end comes after all data");
  await post("start", { job: other.job });
  let done = 0;
  const others = await takeUntil(other.messages, (message) => isDone(message) && ++done === 2, "two final statuses");
  other.messages.close();
  assert.ok(others.every((message) => message.kind === "data"));
});

/** A subscription that is open before anything has been published on its channel. */
async function subscribed() {
  const job = freshJob();
  const { token: key, channel: name } = await post("token", { job });
  const channel = pipeline({ job });
  assert.equal(name, channel.name);
  const messages = await subscribe({ channel, topics, key, apiBaseUrl: quickstart.url });
  return { job, channel, messages };
}

function post(route, body) {
  return postJson(new URL(route, quickstart.url), body);
}

/** The data messages up to the quickstart's last one, `run` frames left out. Closes the subscription. */
async function untilDone(messages) {
  try {
    const all = await takeUntil(messages, isDone, "the final status");
    return all.filter((message) => message.kind === "data");
  } finally {
    messages.close();
  }
}

function isDone(message) {
  return message.kind === "data" && message.topic === "status" && message.data.message === "Done!";
}

function topicsOf(messages) {
  return messages.map((message) => message.topic);
}

function tokensOf(messages) {
  return messages.filter((message) => message.topic === "tokens").map((message) => message.data.token);
}

function contentOf({ topic, data }) {
  return { topic, data };
}
