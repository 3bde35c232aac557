// Apps of npm inngest that nobody has named: `stepcast dev` finds them on this machine.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Inngest } from "inngest";

import { startApp } from "./support/app.js";
import { runsAt } from "./support/runs.js";
import { SILENT, functionsOf, outputOf } from "./support/served.js";
import { startLooking } from "./support/stepcast.js";

const timeout = 60_000;

/** The least used of those that are looked at. */
const USUAL_PORTS = [8915, 8914, 8913, 8912, 8911, 8910];

describe("discovery", { timeout, concurrency: true }, () => {
  test("an app on one of the usual ports, at one of the usual paths", async (t) => {
    const app = await startAtUsualPort("/.netlify/functions/inngest");
    if (!app) return t.skip(`ports ${USUAL_PORTS.join(", ")} are all taken; free one of them`);
    await isFound(t, app, {});
  });

  test("an app on the port that PORT names, once it is there", async (t) => {
    const app = await startApp();
    await app.down();
    await isFound(t, app, { PORT: String(app.port) }, app.up);
  });
});

async function isFound(t, app, variables, begin = () => {}) {
  const stepcast = await startLooking(variables);
  t.after(() => Promise.all([stepcast.stop(), app.stop()]));
  // Other apps of this machine may be found as well.
  const id = `e2e-${app.port}`;
  const inngest = new Inngest({ id, isDev: true, baseUrl: stepcast.url, logger: SILENT });
  const echo = inngest.createFunction({ id: "echo", triggers: [{ event: `${id}/echo` }] }, ({ event }) => event.data);
  app.serve({ client: inngest, functions: [echo] });
  await begin();
  await functionsOf(stepcast.url, id);
  assert.deepEqual(await outputOf({ inngest, runs: runsAt(stepcast.url) }, { name: `${id}/echo`, data: { x: 1 } }), { x: 1 });
}

async function startAtUsualPort(path) {
  for (const port of USUAL_PORTS) {
    try {
      return await startApp({ port, path });
    } catch (error) {
      if (error.code !== "EADDRINUSE") throw error;
    }
  }
  return undefined;
}
