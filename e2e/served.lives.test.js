// Servers and apps of npm inngest that die in the middle: runs go on, and what was done is not done again.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { subscribe } from "inngest/realtime";

import { eventually } from "./support/deadline.js";
import { gate } from "./support/gate.js";
import { dataOf, freshName, pipelineChannel, topics, untilRunEnded } from "./support/pipeline.js";
import { startServed } from "./support/served.js";

const timeout = 60_000;

describe("deaths", { timeout, concurrency: 2 }, () => {
  test("a run goes on after its server was killed in the middle of a step", async (t) => {
    const { served, counts, inside, release } = await startCounted(t, { isDurable: true });
    const { ids } = await served.inngest.send({ name: "lab/counted", data: {} });
    await inside.opened;
    await served.stepcast.die();
    // The app ends its call while there is nobody to hear of it.
    release.open();
    served.stepcast = await served.stepcast.nextLife();

    const [run] = await served.runs.ended(ids[0], 1, 30_000);
    assert.deepEqual([run.status, run.output], ["Completed", "abc"]);
    assert.equal(counts.a, 1, "a step that was on record is not run again");
    assert.ok(counts.b >= 1 && counts.c === 1, JSON.stringify(counts));
  });

  test("sleeps and waits go on after the server was killed", async (t) => {
    let befores = 0;
    const served = await startServed({
      isDurable: true,
      functions: (inngest) => [
        inngest.createFunction({ id: "sleeper", triggers: [{ event: "lab/sleep" }] }, async ({ step }) => {
          await step.run("before", () => (befores += 1));
          await Promise.all([step.sleep("nap", "1s"), step.waitForEvent("word", { event: "lab/word", timeout: "1h" })]);
          return "awake";
        }),
      ],
    });
    t.after(served.stop);
    const { ids } = await served.inngest.send({ name: "lab/sleep", data: {} });
    await eventually(() => served.app.calls.some(({ status }) => status === 206), () => "the call that finds the waits");
    served.stepcast = await served.stepcast.crash();
    const run = await eventually(async () => {
      await served.inngest.send({ name: "lab/word", data: {} });
      return (await served.runs.of(ids[0])).find(({ output }) => output);
    }, () => "the end of the run", 30_000);
    assert.deepEqual([run.output, befores], ["awake", 1]);
  });

  test("what was published before a crash is read after it, with the same token", async (t) => {
    const [holding, held] = [gate(), gate()];
    const served = await startServed({
      isDurable: true,
      functions: (inngest) => [
        inngest.createFunction({ id: "publisher", triggers: [{ event: "lab/publish" }] }, async ({ event, step }) => {
          const { status } = pipelineChannel(event.data);
          await step.realtime.publish("first", status, { message: "first" });
          await step.run("hold", () => (holding.open(), held.opened));
          await step.realtime.publish("last", status, { message: "last" });
        }),
      ],
    });
    t.after(served.stop);
    const runId = freshName();
    const token = await served.inngest.realtime.token({ channel: pipelineChannel({ runId }), topics });
    await served.inngest.send({ name: "lab/publish", data: { runId } });
    const early = await subscribe(token);
    const { value } = await early.getReader().read();
    assert.deepEqual(value.data, { message: "first" });
    // A publish that is not on record yet is repeated. The next step begins when it is.
    await holding.opened;
    served.stepcast = await served.stepcast.crash();
    held.open();
    const seen = await untilRunEnded(await subscribe(token));
    assert.deepEqual(dataOf(seen, "status").map(({ message }) => message), ["first", "last"]);
  });

  test("a run waits for an app that is down, and goes on when it is back", async (t) => {
    const { served, counts, inside, release } = await startCounted(t, { options: ["--retry-interval", "300ms", "--poll-interval", "1s"] });
    const { ids } = await served.inngest.send({ name: "lab/counted", data: {} });
    await inside.opened;
    await served.app.down();
    release.open();
    const { attempt } = await served.runs.until(ids[0], (run) => run.attempt > 1 || run.status === "Failed", "a run tried again");
    await served.app.up();
    const [run] = await served.runs.ended(ids[0]);
    assert.deepEqual([run.status, run.output], ["Completed", "abc"], `after attempt ${attempt}`);
    assert.equal(counts.a, 1);
  });

  test("a run of an app that never comes back fails, and says why", async (t) => {
    const served = await startServed({
      functions: (inngest) => [inngest.createFunction({ id: "gone", triggers: [{ event: "lab/gone" }], retries: 1 }, () => {})],
    });
    t.after(served.stop);
    await served.app.down();
    const { ids } = await served.inngest.send({ name: "lab/gone", data: {} });
    const [run] = await served.runs.ended(ids[0]);
    assert.equal(run.status, "Failed");
    assert.ok(run.output.message.includes(served.app.url), run.output.message);
    await served.app.up();
  });

  test("a call that takes longer than it may is given up, and says so", async (t) => {
    const { served } = await startCounted(t, { options: ["--call-timeout", "1s"], retries: 0 });
    const { ids } = await served.inngest.send({ name: "lab/counted", data: {} });
    const [run] = await served.runs.ended(ids[0]);
    assert.equal(run.status, "Failed");
    assert.match(run.output.message, /longer than 1s/);
  });

  test("a server that stops while a run is in the middle ends in order, and the run with the next one", async (t) => {
    const { served, counts, inside, release } = await startCounted(t, { isDurable: true, options: ["--grace", "200ms"] });
    const { ids } = await served.inngest.send({ name: "lab/counted", data: {} });
    await inside.opened;
    process.kill(served.stepcast.pid, "SIGTERM");
    served.stepcast = await served.stepcast.nextLife();
    release.open();
    assert.equal((await served.runs.ended(ids[0], 1, 30_000))[0].output, "abc");
    assert.equal(counts.a, 1);
  });
});

/** An app whose function has three steps, the second of which waits for `release` when it is run for the first time. */
async function startCounted(t, { retries, ...more }) {
  const [inside, release] = [gate(), gate()];
  const counts = { a: 0, b: 0, c: 0 };
  const work = async (id) => {
    counts[id] += 1;
    if (id === "b") {
      inside.open();
      await release.opened;
    }
    return id;
  };
  const served = await startServed({
    ...more,
    functions: (inngest) => [
      inngest.createFunction({ id: "counted", triggers: [{ event: "lab/counted" }], retries }, async ({ step }) => {
        const a = await step.run("a", () => work("a"));
        const b = await step.run("b", () => work("b"));
        return a + b + (await step.run("c", () => work("c")));
      }),
    ],
  });
  t.after(() => {
    release.open();
    return served.stop();
  });
  return { served, counts, inside, release };
}
