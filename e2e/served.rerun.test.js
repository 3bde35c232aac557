// Runs of npm inngest functions that are run again from the command line.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NonRetriableError } from "inngest";
import { subscribe } from "inngest/realtime";

import { dataOf, freshName, pipelineChannel, topics, untilRunEnded } from "./support/pipeline.js";
import { functionsOf, runsOf, startServed } from "./support/served.js";
import { runStepcast } from "./support/stepcast.js";

const timeout = 60_000;

test("a run that has failed is run again on its channel, and completes", { timeout }, async (t) => {
  let isMended = false;
  const seen = [];
  const functions = (inngest) => [
    inngest.createFunction({ id: "flaky", retries: 0, idempotency: "event.data.runId", triggers: [{ event: "app/flaky" }] }, async ({ event, runId, step }) => {
      seen.push({ runId, event });
      const channel = pipelineChannel(event.data);
      await step.realtime.publish("begin", channel.status, { message: isMended ? "again" : "first" });
      if (!isMended) throw new NonRetriableError("not mended");
      return step.run("work", () => "mended");
    }),
  ];
  const served = await startServed({ functions });
  t.after(served.stop);
  const { inngest, runs, stepcast } = served;
  const runId = freshName();
  const messages = async () => subscribe(await inngest.realtime.token({ channel: pipelineChannel({ runId }), topics }));
  const rerun = (...words) => runStepcast("rerun", ...words, "--url", stepcast.url);

  const before = await messages();
  const [failed] = await runsOf(served, { name: "app/flaky", id: "once", data: { runId } });
  assert.equal(failed.status, "Failed");
  const first = await untilRunEnded(before);
  assert.equal(first.at(-1).data.status, "failed");

  isMended = true;
  const after = await messages();
  const { code, stdout, stderr } = await rerun(failed.run_id, "--json");
  assert.equal(code, 0, stderr);
  const { run_id: again, rerun_of: of } = JSON.parse(stdout);
  assert.equal(of, failed.run_id);
  const second = await untilRunEnded(after);
  assert.deepEqual(dataOf(second, "status"), [{ message: "again" }]);
  assert.equal(second.at(-1).data.status, "completed", "the page is told of the new run, not of the one that had failed");
  const run = await runs.one(again);
  assert.deepEqual([run.status, run.output, run.event_id], ["Completed", "mended", failed.event_id]);
  assert.equal((await runs.one(failed.run_id)).status, "Failed");
  const [{ event }, { event: repeated, runId: other }] = [seen[0], seen.at(-1)];
  assert.deepEqual([repeated.id, repeated.data, repeated.ts, other], [event.id, event.data, event.ts, again]);

  const unknown = await rerun("01KASE7J6K0000000000000000");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /run 01KASE7J6K0000000000000000 does not exist/);
  served.app.serve({ client: inngest, functions: [inngest.createFunction({ id: "other", triggers: [{ event: "app/other" }] }, () => 1)] });
  await functionsOf(stepcast.url, "e2e", ([{ slug }]) => slug === "e2e-other");
  const gone = await rerun(failed.run_id);
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /`e2e-flaky` is not known any more; start the app that has it \(unknown_function\)/);
});
