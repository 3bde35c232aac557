// How apps of npm inngest come to `stepcast dev`, change, go and come back.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Inngest, cron } from "inngest";

import { startApp } from "./support/app.js";
import { eventually } from "./support/deadline.js";
import { runsAt } from "./support/runs.js";
import { SILENT, functionsOf, outputOf, startServed } from "./support/served.js";
import { startDev } from "./support/stepcast.js";

const timeout = 60_000;

describe("registration", { timeout, concurrency: true }, () => {
  test("a server takes in the app at a URL, with all it says of its functions", async (t) => {
    const served = await startServed({ functions: several });
    t.after(served.stop);
    const functions = await functionsOf(served.stepcast.url, "e2e");
    const triggers = Object.fromEntries(functions.map(({ slug, triggers }) => [slug, triggers]));
    assert.deepEqual(Object.keys(triggers).sort(), ["e2e-hourly", "e2e-plain", "e2e-plain-failure"]);
    assert.deepEqual(triggers["e2e-hourly"].map(({ cron }) => cron), ["TZ=Europe/Berlin 0 * * * *", undefined]);
    assert.equal(triggers["e2e-plain"][0].expression, "event.data.x == 1");
    assert.equal(triggers["e2e-plain-failure"][0].event, "inngest/function.failed");
    assert.equal(functions.find(({ slug }) => slug === "e2e-plain").retries, 7);
    assert.deepEqual([...new Set(served.app.syncs.map(({ method }) => method))].sort(), ["GET", "PUT"]);
  });

  test("an app whose answer is no configuration registers itself", async (t) => {
    process.env.INNGEST_ALLOW_IN_BAND_SYNC = "false";
    t.after(() => delete process.env.INNGEST_ALLOW_IN_BAND_SYNC);
    const served = await startServed({ functions: echo });
    t.after(served.stop);
    const headers = { "content-type": "application/json", "x-inngest-sync-kind": "in_band" };
    const body = JSON.stringify({ url: served.app.url });
    const answer = await fetch(served.app.url, { method: "PUT", headers, body });
    assert.equal(answer.headers.get("x-inngest-sync-kind"), "out_of_band");
    assert.equal(await outputOf(served, { name: "app/echo", data: { x: 1 } }), "echo 1");
  });

  test("an app that nobody has named registers itself when it is asked to", async (t) => {
    const [app, stepcast] = await Promise.all([startApp(), startDev({ apps: ["http://127.0.0.1:1/api/inngest"] })]);
    t.after(() => Promise.all([app.stop(), stepcast.stop()]));
    const inngest = clientOf(stepcast);
    app.serve({ client: inngest, functions: echo(inngest) });
    const answer = await fetch(app.url, { method: "PUT" });
    assert.deepEqual([answer.status, (await answer.json()).modified], [200, true]);
    assert.equal((await (await fetch(app.url, { method: "PUT" })).json()).modified, false, "nothing has changed since");
    assert.equal(await outputOf({ inngest, runs: runsAt(stepcast.url) }, { name: "app/echo", data: { x: 2 } }), "echo 2");
  });

  test("a changed list of functions is seen", async (t) => {
    const served = await startServed({ functions: echo });
    t.after(served.stop);
    const { inngest, app, stepcast } = served;
    app.serve({ client: inngest, functions: [answer(inngest, "shout", "app/echo", ({ x }) => `SHOUT ${x}`)] });
    await functionsOf(stepcast.url, "e2e", (functions) => functions.map(({ slug }) => slug).join() === "e2e-shout");
    assert.equal(await outputOf(served, { name: "app/echo", data: { x: 3 } }), "SHOUT 3");
  });

  test("an app that comes later, goes and comes back", async (t) => {
    const app = await startApp();
    t.after(app.stop);
    await app.down();
    const stepcast = await startDev({ apps: [app.url] });
    t.after(stepcast.stop);
    const handler = async () => (await (await fetch(new URL("dev", stepcast.url))).json()).handlers[0];
    const down = await eventually(async () => (await handler()).error && handler(), () => "an app that is down");
    assert.ok(down.error.includes(app.url), down.error);

    const inngest = clientOf(stepcast);
    app.serve({ client: inngest, functions: echo(inngest) });
    await app.up();
    await functionsOf(stepcast.url, "e2e");
    await app.down();
    await app.up();
    assert.equal(await outputOf({ inngest, runs: runsAt(stepcast.url) }, { name: "app/echo", data: { x: 4 } }), "echo 4");
  });

  test("two apps beside each other", async (t) => {
    const apps = await Promise.all([startApp(), startApp()]);
    const stepcast = await startDev({ apps: apps.map(({ url }) => url) });
    t.after(() => Promise.all([stepcast, ...apps].map((each) => each.stop())));
    const clients = ["one", "other"].map((id) => clientOf(stepcast, id));
    clients.forEach((client, index) => {
      apps[index].serve({ client, functions: [answer(client, "echo", "app/echo", () => client.id)] });
    });
    await Promise.all(clients.map(({ id }) => functionsOf(stepcast.url, id)));
    const { ids } = await clients[0].send({ name: "app/echo", data: {} });
    const runs = await runsAt(stepcast.url).ended(ids[0], 2);
    assert.deepEqual(runs.map(({ output }) => output).sort(), ["one", "other"]);
  });

  test("what is not done here is said and done without", async (t) => {
    const served = await startServed({
      functions: (inngest) => [answer(inngest, "throttled", "app/echo", ({ x }) => x, { throttle: { limit: 1, period: "1h" } })],
    });
    t.after(served.stop);
    const [{ ignored }] = await functionsOf(served.stepcast.url, "e2e");
    assert.deepEqual(ignored, ["throttle"]);
    assert.match(served.stepcast.log(), /throttle/);
    assert.equal(await outputOf(served, { name: "app/echo", data: { x: 5 } }), 5);
  });
});

function clientOf(stepcast, id = "e2e") {
  return new Inngest({ id, isDev: true, baseUrl: stepcast.url, logger: SILENT });
}

function answer(inngest, id, event, output, options) {
  return inngest.createFunction({ id, triggers: [{ event }], ...options }, ({ event }) => output(event.data));
}

function echo(inngest) {
  return [answer(inngest, "echo", "app/echo", ({ x }) => `echo ${x}`)];
}

function several(inngest) {
  const triggers = [cron("TZ=Europe/Berlin 0 * * * *"), { event: "app/now" }];
  return [
    inngest.createFunction({ id: "hourly", triggers }, () => {}),
    inngest.createFunction({ id: "plain", triggers: [{ event: "app/plain", if: "event.data.x == 1" }], retries: 7, onFailure() {} }, () => {}),
  ];
}
