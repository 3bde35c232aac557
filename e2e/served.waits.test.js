// What npm inngest functions wait for on `stepcast dev`: time, events, signals and other functions.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { referenceFunction } from "inngest";

import { eventually } from "./support/deadline.js";
import { postJson } from "./support/http.js";
import { freshName } from "./support/pipeline.js";
import { outputOf, runsOf, startServed } from "./support/served.js";

const timeout = 60_000;

let served;
before(async () => {
  served = await startServed({ functions });
}, { timeout });
after(() => served?.stop());

function functions(inngest) {
  const create = (id, handler, options) => inngest.createFunction({ id, triggers: [{ event: `lab/${id}` }], ...options }, handler);
  const double = create("double", ({ event, step }) => step.run("double", () => ({ doubled: event.data.x * 2 })));
  const failing = create("failing", () => {
    throw new Error("the child failed");
  }, { retries: 0 });
  const endless = create("endless", ({ step }) => step.sleep("long", "1h"));
  return [
    double, failing, endless,
    create("sleeper", async ({ step }) => {
      await step.sleep("nap", "1s");
      await step.sleepUntil("until", new Date(Date.now() + 1000));
      return "slept";
    }),
    create("waiter", async ({ step }) => {
      const got = await step.waitForEvent("ok", { event: "lab/go", match: "data.id", timeout: "30s" });
      return { got: got?.data ?? null, name: got?.name };
    }),
    create("picky", async ({ step }) => {
      const got = await step.waitForEvent("ok", { event: "lab/offer", if: "async.data.id == event.data.id && async.data.price < 10", timeout: "30s" });
      return got.data.price;
    }),
    create("patient", ({ step }) => step.waitForEvent("never", { event: "lab/never", timeout: "1s" })),
    create("parent", async ({ step }) => {
      const child = await step.invoke("call-child", { function: double, data: { x: 21 } });
      const sent = await step.sendEvent("fan-out", [{ name: "lab/none", data: { n: 1 } }, { name: "lab/none", data: { n: 2 } }]);
      return { child, sent: sent.ids.length, ids: sent.ids };
    }),
    create("parents", ({ step }) => Promise.all([1, 2, 3].map((x) => step.invoke(`child-${x}`, { function: double, data: { x } })))),
    create("parent-of-failing", caught((step) => step.invoke("child", { function: failing, data: {} }))),
    create("parent-of-endless", caught((step) => step.invoke("child", { function: endless, data: {}, timeout: "1s" }))),
    create("parent-of-nobody", caught((step) => step.invoke("child", { function: referenceFunction({ functionId: "nobody" }), data: {} }))),
    create("signalled", ({ event, step }) => step.waitForSignal("sig", { signal: event.data.signal, timeout: "30s", onConflict: "fail" }), { retries: 0 }),
    create("unsignalled", ({ event, step }) => step.waitForSignal("sig", { signal: event.data.signal, timeout: "1s", onConflict: "replace" })),
    create("signaller", ({ event, step }) => step.sendSignal("send", { signal: event.data.signal, data: { by: "a step" } })),
  ];
}

function caught(invoke) {
  return async ({ step }) => {
    try {
      return { result: await invoke(step) };
    } catch (error) {
      return { name: error.name, message: error.message };
    }
  };
}

describe("waits", { timeout, concurrency: true }, () => {
  test("sleeping for a while and until a time", async () => {
    const began = Date.now();
    assert.equal(await outputOf(served, event("sleeper")), "slept");
    assert.ok(Date.now() - began >= 1900, `${Date.now() - began} ms`);
    assert.equal(served.app.callsOf("e2e-sleeper").length, 3);
  });

  test("an event that matches ends a wait, others do not", async () => {
    const [one, other] = [freshName(), freshName()];
    const go = (data) => ({ name: "lab/go", data });
    const events = [go({ id: other }), { name: "lab/stop", data: { id: one } }, go({ id: one, n: 1 })];
    const run = await endedBy(events, "waiter", { id: one });
    assert.deepEqual(run.output, { got: { id: one, n: 1 }, name: "lab/go" });
  });

  test("a wait with an expression", async () => {
    const id = freshName();
    const offers = [[id, 12], [id, 11], ["another", 1], [id, 9]];
    const events = offers.map(([id, price]) => ({ name: "lab/offer", data: { id, price } }));
    const run = await endedBy(events, "picky", { id });
    assert.equal(run.output, 9);
  });

  test("a wait ends without an event when its time is over", async () => {
    assert.equal((await outputOf(served, event("patient"))) ?? null, null);
  });

  test("functions call functions and send events", async () => {
    const { child, sent, ids } = await outputOf(served, event("parent"));
    assert.deepEqual({ child, sent }, { child: { doubled: 42 }, sent: 2 });
    const kept = await served.runs.read(`v1/events/${ids[1]}`);
    assert.deepEqual([kept.name, kept.data], ["lab/none", { n: 2 }]);
    assert.deepEqual(await outputOf(served, event("parents")), [{ doubled: 2 }, { doubled: 4 }, { doubled: 6 }]);
  });

  test("what becomes of a function is what its caller gets", async () => {
    const failed = await outputOf(served, event("parent-of-failing"));
    assert.match(failed.message, /the child failed/);
    const late = await outputOf(served, event("parent-of-endless"));
    assert.match(`${late.name} ${late.message}`, /InngestInvokeTimeoutError|timed out/i);
    const nobody = await outputOf(served, event("parent-of-nobody"));
    assert.match(nobody.message, /e2e-nobody/);
  });

  test("a signal ends a wait", async () => {
    const signal = freshName();
    const { ids } = await served.inngest.send(event("signalled", { signal }));
    const answer = await signalled(signal, { s: 1 });
    const [run] = await served.runs.ended(ids[0]);
    assert.equal(answer.data.run_id, run.run_id);
    assert.deepEqual(run.output, { signal, data: { s: 1 } });
  });

  test("a signal that a step sends", async () => {
    const signal = freshName();
    const run = await endedBy([event("signaller", { signal })], "signalled", { signal });
    assert.deepEqual(run.output, { signal, data: { by: "a step" } });
  });

  test("a signal that never comes", async () => {
    assert.equal((await outputOf(served, event("unsignalled", { signal: freshName() }))) ?? null, null);
  });

  test("of two runs that insist on one signal the second fails", async () => {
    const signal = freshName();
    const { ids } = await served.inngest.send([event("signalled", { signal }), event("signalled", { signal })]);
    const all = () => Promise.all(ids.map(async (id) => (await served.runs.of(id))[0]));
    const failed = await eventually(async () => (await all()).find(({ status }) => status === "Failed"), () => "a failed run");
    assert.ok(failed.output.message.includes(signal), failed.output.message);
    await signalled(signal, { s: 2 });
    const ended = await Promise.all(ids.map((id) => served.runs.ended(id)));
    assert.deepEqual(ended.map(([{ status }]) => status).sort(), ["Completed", "Failed"]);
  });
});

/**
 * Starts a run and sends these events until it has ended. A wait sees what comes after it has begun, and when that is cannot be seen from
 * outside; of a batch each event comes after the one before.
 */
async function endedBy(events, id, data) {
  const { ids } = await served.inngest.send(event(id, data));
  const look = async () => {
    await served.inngest.send(events);
    return (await served.runs.of(ids[0])).find(({ status }) => status !== "Running" && status !== "Scheduled");
  };
  const run = await eventually(look, () => `the end of ${id}`);
  assert.equal(run.status, "Completed");
  return run;
}

/** Sends a signal as soon as somebody waits for it. */
function signalled(signal, data) {
  const send = () => postJson(new URL("v1/signals", served.stepcast.url), { signal, data });
  return eventually(send, () => `somebody who waits for ${signal}`);
}

function event(id, data = {}) {
  return { name: `lab/${id}`, data };
}
