// A function of npm inngest that a time starts. Schedules are in minutes, so this waits for the next one; nothing else is in this file.

import assert from "node:assert/strict";
import { test } from "node:test";

import { cron } from "inngest";

import { eventually } from "./support/deadline.js";
import { startServed } from "./support/served.js";

const MINUTE_MS = 60_000;
const timeout = 2 * MINUTE_MS;
const EVERY_MINUTE = "TZ=Europe/Berlin * * * * *";

test("a cron function is started by its minute, once", { timeout }, async (t) => {
  const functions = (inngest) => [
    inngest.createFunction({ id: "minutely", triggers: [cron(EVERY_MINUTE)] }, async ({ event, runId, step }) => {
      return { event, runId, step: await step.run("noted", () => "noted") };
    }),
    inngest.createFunction({ id: "newyear", triggers: [cron("0 0 1 1 *")] }, () => "not now"),
  ];
  const began = Date.now();
  const served = await startServed({ functions });
  t.after(served.stop);
  let started;
  const look = async () => (started = await served.runs.read("v1/runs")).some(({ status }) => status === "completed");
  await eventually(look, () => `a run that its minute has started; there are ${JSON.stringify(started)}`, MINUTE_MS + 15_000);

  assert.equal(started.length, 1, JSON.stringify(started));
  const [{ run_id, run_started_at, output }] = started;
  const minute = Date.parse(output.event.data.scheduledAt);
  assert.deepEqual([minute % MINUTE_MS, began <= minute, minute <= Date.parse(run_started_at)], [0, true, true], JSON.stringify(started));
  const { cron: schedule, fireAt } = output.event.data;
  assert.deepEqual([output.event.name, schedule, Date.parse(fireAt)], ["inngest/scheduled.timer", EVERY_MINUTE, minute]);
  assert.deepEqual([output.runId, output.step], [run_id, "noted"]);
  assert.deepEqual([...new Set(served.app.calls.map(({ functionId }) => functionId))], ["e2e-minutely"]);
});
