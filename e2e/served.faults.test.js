// A network between `stepcast dev` and an app that does to one call what networks do. Each ends in a run that has completed, or in one that
// has failed and says why.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { FAULTS, startProxy } from "./support/proxy.js";
import { runsOf, startServed } from "./support/served.js";

const timeout = 60_000;

/** What a fault leaves behind when nothing is tried again. Where it is not a failure, the work was done and is on record. */
const HARMLESS = new Set(["a late answer", "a call that arrives twice"]);

for (const checkpointing of [true, false]) {
  describe(`one bad call, ${checkpointing ? "with" : "without"} checkpoints`, { timeout }, () => {
    test("a run gets over it", async (t) => {
      const served = await startFaulty(t, { checkpointing, retries: 3 });
      for (const [name, fault] of Object.entries(FAULTS)) {
        await t.test(name, async () => {
          served.between.faults.push(fault);
          const [run] = await runsOf(served, { name: "lab/faulty", data: { fault: name } });
          assert.deepEqual([run.status, run.output], ["Completed", "ab"], JSON.stringify(run));
          assert.equal(served.between.calls.filter(({ fault }) => fault === name).length, 1, "the fault has happened");
        });
      }
    });
  });
}

describe("nothing is tried again", { timeout }, () => {
  test("a run fails and says why", async (t) => {
    const served = await startFaulty(t, { checkpointing: false, retries: 0 });
    for (const [name, fault] of Object.entries(FAULTS)) {
      await t.test(name, async () => {
        served.between.faults.push(fault);
        const [run] = await runsOf(served, { name: "lab/faulty", data: { fault: name } });
        if (HARMLESS.has(name)) return assert.equal(run.status, "Completed");
        assert.equal(run.status, "Failed");
        assert.ok(run.output.message.length > 20, run.output.message);
        t.diagnostic(`${name}: ${run.output.message}`);
      });
    }
  });
});

test("an app that never answers as one is on record with the reason", { timeout }, async (t) => {
  const served = await startFaulty(t, { checkpointing: false, retries: 1 });
  const html = FAULTS["HTML from another server"];
  served.between.faults.push(html, html);
  const [run] = await runsOf(served, { name: "lab/faulty", data: {} });
  assert.equal(run.status, "Failed");
  assert.match(run.output.message, /SDK|app/);
  assert.match(served.stepcast.log(), new RegExp(run.run_id), "the log tells of it");
  const [next] = await runsOf(served, { name: "lab/faulty", data: {} });
  assert.equal(next.status, "Completed", "the server goes on");
});

async function startFaulty(t, options) {
  const served = await startServed({
    behind: startProxy,
    functions: (inngest) => [
      inngest.createFunction({ id: "faulty", triggers: [{ event: "lab/faulty" }], ...options }, async ({ step }) => {
        const a = await step.run("a", () => "a");
        return a + (await step.run("b", () => "b"));
      }),
    ],
  });
  t.after(served.stop);
  return served;
}
