// The quick start's page with `useRealtime` of npm inngest, in a real browser, against `stepcast dev`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { NonRetriableError } from "inngest";

import { artifact, launchBrowser, newPage, shows } from "./support/browser.js";
import { gate } from "./support/gate.js";
import { servePage } from "./support/page.js";
import { freshName, pipelineChannel } from "./support/pipeline.js";
import { runsOf, startServed } from "./support/served.js";

const timeout = 60_000;

let browser;
let page;
let served;
/** What the slow one of two functions waits for. */
const slow = gate();

before(async () => {
  [browser, served, page] = await Promise.all([
    launchBrowser(),
    startServed({ functions, options: ["--expose-result", "e2e-exposed"] }),
    servePage("pipeline.jsx", () => served.inngest),
  ]);
}, { timeout });
after(async () => {
  slow.open();
  await browser?.close();
  await page?.stop();
  await served?.stop();
});

function functions(inngest) {
  const create = (id, event, handler, options) => inngest.createFunction({ id, triggers: [{ event }], ...options }, handler);
  const say = (step, id, { channel, runId }, message) =>
    step.realtime.publish(id, pipelineChannel({ runId: channel ?? runId }).status, { message });
  return [
    create("generate", "app/generate", async ({ event, step }) => {
      const channel = pipelineChannel({ runId: event.data.runId });
      await inngest.realtime.publish(channel.status, { message: "Starting..." });
      await step.run("stream-output", async () => {
        for (const token of ["Hello", " ", "world"]) await inngest.realtime.publish(channel.tokens, { token });
      });
      await step.realtime.publish("final-status", channel.status, { message: "Done!", step: "complete" });
      return { answer: 42 };
    }),
    create("exposed", "app/exposed", ({ event, step }) => step.run("answer", () => ({ asked: event.data.runId }))),
    create("chat", "app/chat", ({ event, step }) => say(step, "say", event.data, event.data.text)),
    create("quick", "app/both", ({ event, step }) => say(step, "say", event.data, "quick")),
    create("slow", "app/both", async ({ event, step }) => {
      await step.run("wait", () => slow.opened);
      await say(step, "say", event.data, "slow");
    }),
    create("failer", "app/fail", async ({ event, step }) => {
      await say(step, "try", event.data, "trying");
      throw new NonRetriableError("no way");
    }, {
      onFailure: ({ event, step }) => say(step, "sorry", event.data.event.data, "sorry"),
    }),
  ];
}

const RUN = [
  '[status] {"message":"Starting..."}',
  '[tokens] {"token":"Hello"}',
  '[tokens] {"token":" "}',
  '[tokens] {"token":"world"}',
  '[status] {"message":"Done!","step":"complete"}',
];

for (const name of ["a token with its server's address", "a token as text and an apiBaseUrl"]) {
  test(`a run goes from running to completed, with ${name}`, { timeout }, async () => {
    const runId = freshName();
    const apiBaseUrl = name.includes("apiBaseUrl") ? { apiBaseUrl: served.stepcast.url } : {};
    const tab = await opened({ runId, ...apiBaseUrl });
    await shows(tab, "#run", "running");
    await runsOf(served, { name: "app/generate", data: { runId } });
    await shows(tab, "#run", "completed");
    assert.deepEqual(await items(tab), RUN);
    await shows(tab, "#connection", "closed");
    await shows(tab, "#result", "");
    assert.deepEqual(await tab.evaluate(() => window.statuses), ["unknown", "running", "completed"]);
    assert.deepEqual(tab.complaints, []);
    await tab.screenshot({ path: artifact("inngest.png"), fullPage: true });
    await tab.close();
  });
}

test("the result arrives without being exposed, with a token that names $run", { timeout }, async () => {
  const runId = freshName();
  const tab = await opened({ runId, topics: "status,tokens,$run" });
  await runsOf(served, { name: "app/generate", data: { runId } });
  await shows(tab, "#run", "completed");
  await shows(tab, "#result", JSON.stringify({ answer: 42 }));
  await tab.close();
});

for (const topics of ["status,tokens", "status,tokens,$run"]) {
  test(`the result arrives where the server exposes it, with a token for ${topics}`, { timeout }, async () => {
    const runId = freshName();
    const tab = await opened({ runId, topics });
    await runsOf(served, { name: "app/exposed", data: { runId } });
    await shows(tab, "#run", "completed");
    await shows(tab, "#result", JSON.stringify({ asked: runId }));
    await tab.close();
  });
}

test("a chat with three runs in turn is never closed", { timeout }, async () => {
  const channel = freshName();
  const tab = await opened({ runId: channel });
  const texts = ["one", "two", "three"];
  for (const text of texts) {
    await runsOf(served, { name: "app/chat", data: { channel, text } });
    await shows(tab, "#status", text);
  }
  assert.deepEqual(await items(tab), texts.map((text) => `[status] {"message":"${text}"}`));
  await shows(tab, "#connection", "open");
  await shows(tab, "#run", "running");
  await tab.close();
});

test("two functions on one event and one channel: the end comes after both", { timeout }, async () => {
  const runId = freshName();
  const tab = await opened({ runId });
  const { ids } = await served.inngest.send({ name: "app/both", data: { runId } });
  await shows(tab, "#status", "quick");
  await served.runs.until(ids[0], ({ status }) => status === "Completed", "the quick one's end");
  await shows(tab, "#run", "running");
  slow.open();
  await shows(tab, "#run", "completed");
  assert.deepEqual(await items(tab), ['[status] {"message":"quick"}', '[status] {"message":"slow"}']);
  await tab.close();
});

const FAILURE = ['[status] {"message":"trying"}', '[status] {"message":"sorry"}'];

test("what a failure's handler says arrives", { timeout }, async () => {
  const channel = freshName();
  const tab = await opened({ runId: channel });
  await runsOf(served, { name: "app/fail", data: { channel } });
  await shows(tab, "#status", "sorry");
  assert.deepEqual(await items(tab), FAILURE);
  await shows(tab, "#connection", "open");
  await tab.close();
});

test("what a failure's handler says arrives before the end", { timeout }, async () => {
  const runId = freshName();
  const tab = await opened({ runId });
  await runsOf(served, { name: "app/fail", data: { runId } });
  await shows(tab, "#run", "failed");
  assert.deepEqual(await items(tab), FAILURE);
  await tab.close();
});

test("a second run on the channel of one that has ended", { timeout }, async () => {
  const runId = freshName();
  await runsOf(served, { name: "app/generate", data: { runId } });
  const tab = await opened({ runId });
  await shows(tab, "#run", "running");
  await runsOf(served, { name: "app/generate", data: { runId } });
  await shows(tab, "#run", "completed");
  assert.deepEqual(await items(tab), RUN);
  await tab.close();
});

async function opened(parameters) {
  const tab = await newPage(browser);
  await tab.goto(page.address({ topics: "status,tokens", ...parameters }));
  await shows(tab, "#connection", "open");
  return tab;
}

function items(tab) {
  return tab.$$eval("#all li", (lines) => lines.map((line) => line.textContent.trim()));
}
