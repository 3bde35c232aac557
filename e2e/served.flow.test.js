// What starts npm inngest functions on `stepcast dev`, how many run at once, and what ends them early.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { NonRetriableError } from "inngest";

import { eventually } from "./support/deadline.js";
import { gate } from "./support/gate.js";
import { freshName } from "./support/pipeline.js";
import { outputOf, runsOf, startServed } from "./support/served.js";

const timeout = 60_000;

const [failures, announced] = [[], []];
const busy = { now: new Map(), most: new Map(), started: [], release: gate() };
const queued = [];
async function note(what, milliseconds) {
  queued.push({ what, at: Date.now() });
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
const slow = { started: gate(), release: gate() };

let served;
before(async () => {
  served = await startServed({ functions });
}, { timeout });
after(() => {
  slow.release.open();
  return served?.stop();
});

function functions(inngest) {
  const create = (id, handler, options) => inngest.createFunction({ id, triggers: [{ event: `lab/${id}` }], ...options }, handler);
  return [
    create("failer", () => {
      throw new NonRetriableError("fatal");
    }, {
      onFailure: async ({ error, event, step }) => {
        failures.push(await step.run("cleanup", () => ({ message: error.message, of: event.data.function_id, run: event.data.run_id })));
      },
    }),
    create("cancelled", ({ step }) => step.sleep("long", "1h"), {
      cancelOn: [{ event: "lab/cancel", match: "data.user" }],
    }),
    create("cancelled-if", ({ step }) => step.waitForEvent("long", { event: "lab/never", timeout: "1h" }), {
      cancelOn: [{ event: "lab/cancel", if: "async.data.user == event.data.user && async.data.hard == true" }],
    }),
    create("sleeper", ({ step }) => step.sleep("long", "1h")),
    create("one-by-one", ({ event, step }) => step.run("work", async () => {
      const { key, n } = event.data;
      busy.started.push(`${key}${n}`);
      busy.now.set(key, (busy.now.get(key) ?? 0) + 1);
      busy.most.set(key, Math.max(busy.most.get(key) ?? 0, busy.now.get(key)));
      await busy.release.opened;
      busy.now.set(key, busy.now.get(key) - 1);
      return n;
    }), { concurrency: { limit: 1, key: "event.data.key" } }),
    create("queue", async ({ event, step }) => {
      await step.run("begin", () => note(`begun ${event.data.n}`, 50));
      if (!event.data.sleeps) return;
      await step.sleep("nap", "1s");
      await step.run("woken", () => note("woken", 0));
    }, { concurrency: 1 }),
    create("once", ({ event }) => event.data.order, { idempotency: "event.data.order" }),
    create("in-time", ({ step }) => step.sleep("long", "1h"), { timeouts: { finish: "1s" } }),
    create("too-late", ({ event, step }) => step.run("hold", async () => {
      slow.started.open();
      if (event.data.hold) await slow.release.opened;
    }), { concurrency: 1, timeouts: { start: "1s" } }),
    inngest.createFunction({ id: "some", triggers: [{ event: "lab/some", if: "event.data.x > 1 && event.data.kind == 'a'" }] }, () => "some"),
    inngest.createFunction({ id: "wild", triggers: [{ event: "wild/*" }, { event: "lab/tame" }] }, ({ event }) => event.name),
    inngest.createFunction({ id: "announced", triggers: [{ event: "inngest/function.finished", if: "event.data.function_id == 'e2e-once'" }] },
      ({ event }) => announced.push(event.data)),
  ];
}
describe("starts", { timeout, concurrency: true }, () => {
  test("a condition on the event", async () => {
    const events = [{ x: 2, kind: "b" }, { x: 1, kind: "a" }, { kind: "a" }, { x: 2, kind: "a" }];
    const { ids } = await served.inngest.send(events.map((data) => ({ name: "lab/some", data })));
    await served.runs.ended(ids[3]);
    const counts = await Promise.all(ids.map(async (id) => (await served.runs.of(id)).length));
    assert.deepEqual(counts, [0, 0, 0, 1]);
  });

  test("several triggers, and one for many names", async () => {
    for (const name of ["wild/one", "wild/two/deep", "lab/tame"]) assert.equal(await outputOf(served, { name, data: {} }), name);
  });

  test("an event with the same id starts a function once", async () => {
    const sent = { name: "lab/tame", id: freshName(), data: {} };
    const { ids } = await served.inngest.send(sent);
    await served.runs.ended(ids[0]);
    const again = await served.inngest.send(sent);
    const marker = await served.inngest.send({ name: "lab/tame", data: {} });
    await served.runs.ended(marker.ids[0]);
    const runs = await Promise.all([...new Set([...ids, ...again.ids])].map((id) => served.runs.of(id).catch(() => [])));
    assert.equal(new Set(runs.flat().map(({ run_id: id }) => id)).size, 1);
  });

  test("a function is started once for what it makes of its events, and its end is announced", async () => {
    const order = freshName();
    const { ids } = await served.inngest.send([1, 2].map(() => ({ name: "lab/once", data: { order } })));
    await served.runs.ended(ids[0]);
    const other = freshName();
    assert.equal(await outputOf(served, { name: "lab/once", data: { order: other } }), other);
    const counts = await Promise.all(ids.map(async (id) => (await served.runs.of(id)).length));
    assert.deepEqual(counts, [1, 0]);
    const data = await eventually(() => announced.find(({ result }) => result === order), () => "the event of its end");
    assert.deepEqual([data.function_id, data.event.data.order], ["e2e-once", order]);
  });
});

describe("ends", { timeout, concurrency: true }, () => {
  test("a failure has its handler", async () => {
    const [run] = await runsOf(served, { name: "lab/failer", data: {} });
    assert.deepEqual([run.status, run.output.message], ["Failed", "fatal"]);
    const [failure] = await eventually(() => failures.length && failures, () => "the failure's handler");
    assert.deepEqual(failure, { message: "fatal", of: "e2e-failer", run: run.run_id });
  });

  test("an event cancels the runs it matches", async () => {
    const users = [freshName(), freshName()];
    const { ids } = await served.inngest.send(users.map((user) => ({ name: "lab/cancelled", data: { user } })));
    await Promise.all(ids.map((id) => running(id)));
    await served.inngest.send({ name: "lab/cancel", data: { user: users[0] } });
    const [{ status }] = await served.runs.ended(ids[0]);
    assert.equal(status, "Cancelled");
    assert.equal((await served.runs.of(ids[1]))[0].status, "Running");
  });

  test("an event cancels the runs for which its condition holds", async () => {
    const user = freshName();
    const { ids } = await served.inngest.send({ name: "lab/cancelled-if", data: { user } });
    await running(ids[0]);
    await served.inngest.send([{ user: "another", hard: true }, { user, hard: false }].map((data) => ({ name: "lab/cancel", data })));
    assert.equal((await served.runs.of(ids[0]))[0].status, "Running");
    await served.inngest.send({ name: "lab/cancel", data: { user, hard: true } });
    assert.equal((await served.runs.ended(ids[0]))[0].status, "Cancelled");
  });

  test("a run is cancelled by hand", async () => {
    const { ids } = await served.inngest.send({ name: "lab/sleeper", data: {} });
    const { run_id: runId } = await running(ids[0]);
    await served.runs.cancel(runId);
    const [run] = await served.runs.ended(ids[0]);
    assert.equal(run.status, "Cancelled");
    await assert.rejects(served.runs.cancel("01KASE7J6K0000000000000000"), /404/);
  });

  test("a run that does not end in time is cancelled", async () => {
    assert.equal((await runsOf(served, { name: "lab/in-time", data: {} }))[0].status, "Cancelled");
  });

  test("a run that does not start in time is cancelled", async () => {
    await served.inngest.send({ name: "lab/too-late", data: { hold: true } });
    await slow.started.opened;
    const [run] = await runsOf(served, { name: "lab/too-late", data: {} });
    assert.equal(run.status, "Cancelled");
    slow.release.open();
  });
});

test("a limit with a key lets one run at a time, in order, and others beside them", { timeout }, async () => {
  const events = ["a", "b"].flatMap((key) => [1, 2, 3].map((n) => ({ name: "lab/one-by-one", data: { key, n } })));
  const { ids } = await served.inngest.send(events);
  await eventually(() => busy.started.length >= 2, () => "one run of each key");
  busy.release.open();
  await Promise.all(ids.map((id) => served.runs.ended(id)));
  assert.deepEqual(Object.fromEntries(busy.most), { a: 1, b: 1 });
  for (const key of ["a", "b"]) {
    assert.deepEqual(busy.started.filter((name) => name.startsWith(key)), [1, 2, 3].map((n) => `${key}${n}`));
  }
});

test("a run that wakes goes before those that have not begun", { timeout }, async () => {
  const { ids } = await served.inngest.send({ name: "lab/queue", data: { n: 0, sleeps: true } });
  await eventually(() => queued.length, () => "the first run");
  const others = await served.inngest.send(Array.from({ length: 60 }, (_, n) => ({ name: "lab/queue", data: { n: n + 1 } })));
  const [run] = await served.runs.ended(ids[0]);
  assert.equal(run.status, "Completed");
  const woken = queued.findIndex(({ what }) => what === "woken");
  const due = queued[0].at + 1000;
  const between = queued.slice(0, woken).filter(({ at }) => at > due + 100);
  assert.ok(between.length <= 1, `${between.length} runs began after the sleep was over`);
  assert.equal((await served.runs.of(others.ids.at(-1)))[0].status, "Scheduled", "the queue was not empty");
});

/** A run that the app has been called for. */
function running(eventId) {
  return served.runs.until(eventId, ({ status }) => status === "Running", "a running run");
}
