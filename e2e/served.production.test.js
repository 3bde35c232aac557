// `stepcast start` and apps of npm inngest in cloud mode: both sides sign, and neither listens to anybody else.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";

import { Inngest } from "inngest";
import { subscribe } from "inngest/realtime";

import { startApp } from "./support/app.js";
import { eventually } from "./support/deadline.js";
import { dataOf, freshName, pipelineChannel, topics, untilRunEnded } from "./support/pipeline.js";
import { startProxy } from "./support/proxy.js";
import { runsAt } from "./support/runs.js";
import { SILENT, functionsOf } from "./support/served.js";
import { runStepcast, startDev, startProduction } from "./support/stepcast.js";

const timeout = 60_000;

const KEY = `signkey-prod-${"0123456789abcdef".repeat(4)}`;
const NEXT_KEY = `signkey-prod-${"fedcba9876543210".repeat(4)}`;
const EVENT_KEY = "an-event-key-of-the-tests";
const KEYS = ["--signing-key", KEY, "--event-key", EVENT_KEY, "--behind-tls"];

describe("production", { timeout, concurrency: 2 }, () => {
  test("an app and its server trust each other, and events, tokens and runs go through", async (t) => {
    const { inngest, runs, between } = await startSigned(t, {});
    const runId = freshName();
    const token = await inngest.realtime.token({ channel: pipelineChannel({ runId }), topics });
    const messages = await subscribe(token);
    const { ids } = await inngest.send({ name: "app/signed", data: { runId, text: "ü 🌍 \u2028 <>&" } });
    const [run] = await runs.ended(ids[0]);
    assert.deepEqual([run.status, run.output], ["Completed", "ü 🌍 \u2028 <>&"]);
    assert.deepEqual(dataOf(await untilRunEnded(messages), "status"), [{ message: "signed" }]);
    assert.ok(between.calls.length > 0);
    assert.ok(between.calls.every(({ headers }) => /^t=\d+&s=[0-9a-f]{64}$/.test(headers["x-inngest-signature"])));
  });

  test("tokens say where browsers reach the server, which the npm package goes by", async (t) => {
    const url = "https://rt.example.com";
    const servers = await Promise.all([startDev(), startProduction({ options: [...KEYS, "--public-url", url] }), startProduction({ options: KEYS })]);
    t.after(() => Promise.all(servers.map((server) => server.stop())));
    const said = servers.map(async (server) => {
      const { stdout, stderr } = await runStepcast("token", "c", "t", "--url", server.url, "--signing-key", KEY);
      assert.equal(stderr, "");
      return JSON.parse(Buffer.from(stdout.split(".")[1], "base64url").toString()).url;
    });
    assert.deepEqual(await Promise.all(said), [new URL(servers[0].url).origin, url, undefined]);
  });

  test("calls that nobody or somebody else has signed are refused by the app", async (t) => {
    const { app, between, inngest, runs } = await startSigned(t, {});
    const { ids } = await inngest.send({ name: "app/signed", data: { runId: freshName(), text: "x" } });
    await runs.ended(ids[0]);
    const [call] = between.calls;
    const replay = (headers, body = call.body) => fetch(`${app.url}${new URL(call.path, app.url).search}`, { method: "POST", headers, body });
    const { "x-inngest-signature": signature } = call.headers;
    assert.equal((await replay({})).status, 401);
    assert.equal((await replay({ "x-inngest-signature": signature }, call.body.replace('"x"', '"y"'))).status, 401);
    assert.notEqual((await replay({ "x-inngest-signature": signature })).status, 401);
  });

  test("answers that the app has not signed are not believed", async (t) => {
    const { between, inngest, runs } = await startSigned(t, { retries: 0 });
    for (const spoil of [unsigned, signedByNobody, replayed]) {
      between.faults.push(spoil);
      const { ids } = await inngest.send({ name: "app/signed", data: { runId: freshName(), text: "x" } });
      const [run] = await runs.ended(ids[0]);
      assert.equal(run.status, "Failed", spoil.name);
      assert.match(run.output.message, /sign/i);
    }
  });

  test("an app with another key is not taken in, and its requests are refused", async (t) => {
    const app = await startApp();
    const stepcast = await startProduction({ apps: [app.url], options: KEYS });
    t.after(() => Promise.all([app.stop(), stepcast.stop()]));
    const inngest = clientOf(stepcast, { signingKey: NEXT_KEY, eventKey: "wrong-key" });
    app.serve({ client: inngest, functions: signed(inngest) });
    await eventually(() => stepcast.log().includes(app.url), () => "a warning about the app");
    await assert.rejects(runsAt(stepcast.url, hashed(KEY)).read("v1/apps/e2e/functions"), /404/);
    assert.notEqual((await fetch(app.url, { method: "PUT" })).status, 200);
    await assert.rejects(inngest.realtime.token({ channel: "x", topics }));
    const answer = await fetch(new URL("e/wrong-key", stepcast.url), { method: "POST", body: '[{"name":"app/signed","data":{}}]' });
    assert.equal(answer.status, 401);
  });

  test("keys are changed one side after the other", async (t) => {
    // The app has the next key already and still knows the present one; the server has both the other way round.
    const { inngest, runs } = await startSigned(t, {
      client: { signingKey: NEXT_KEY, signingKeyFallback: KEY },
      options: [...KEYS, "--signing-key-fallback", NEXT_KEY],
    });
    const { ids } = await inngest.send({ name: "app/signed", data: { runId: freshName(), text: "both" } });
    assert.equal((await runs.ended(ids[0]))[0].output, "both");
  });

  test("an app's request is repeated with the fallback key when the server does not know the first one", async (t) => {
    const { inngest, runs } = await startSigned(t, { client: { signingKey: NEXT_KEY, signingKeyFallback: KEY } });
    const { ids } = await inngest.send({ name: "app/signed", data: { runId: freshName(), text: "fallback" } });
    assert.equal((await runs.ended(ids[0]))[0].output, "fallback");
    assert.ok((await inngest.realtime.token({ channel: "x", topics })).key);
  });

  test("a function that asks for what is not done is refused, unless that is accepted", async (t) => {
    for (const accepted of [[], ["--ignore-unsupported", "throttle"]]) {
      const app = await startApp();
      const stepcast = await startProduction({ apps: [app.url], options: [...KEYS, ...accepted] });
      t.after(() => Promise.all([app.stop(), stepcast.stop()]));
      const inngest = clientOf(stepcast);
      app.serve({ client: inngest, functions: signed(inngest, { throttle: { limit: 1, period: "1h" } }) });
      await eventually(() => /throttle/.test(stepcast.log()), () => "a warning that names the option");
      const known = functionsOf(stepcast.url, "e2e", undefined, hashed(KEY), accepted.length ? undefined : 300);
      await (accepted.length ? known : assert.rejects(known, /404/));
    }
  });

  test("a changed list of functions is seen, though nobody tells of it", async (t) => {
    const { app, stepcast, inngest, runs } = await startSigned(t, {});
    const shout = inngest.createFunction({ id: "shout", triggers: [{ event: "app/signed" }] }, ({ event }) => event.data.text.toUpperCase());
    app.serve({ client: inngest, functions: [shout] });
    const isNew = (functions) => functions.map(({ slug }) => slug).join() === "e2e-shout";
    await functionsOf(stepcast.url, "e2e", isNew, hashed(KEY));
    const { ids } = await inngest.send({ name: "app/signed", data: { runId: freshName(), text: "aloud" } });
    assert.deepEqual((await runs.ended(ids[0])).map(({ output }) => output), ["ALOUD"]);
  });

  test("there is no production without keys", async () => {
    const { code, stderr } = await runStepcast("start", "--port", "0");
    assert.notEqual(code, 0);
    assert.match(stderr, /signing key/i);
    assert.match(stderr, /openssl rand -hex 32/);
  });
});

async function startSigned(t, { client, options = KEYS, retries }) {
  const app = await startApp();
  const between = await startProxy(app);
  const stepcast = await startProduction({ apps: [between.url], options });
  t.after(() => Promise.all([stepcast, between, app].map((each) => each.stop())));
  const inngest = clientOf(stepcast, client);
  app.serve({ client: inngest, functions: signed(inngest, { retries }) });
  await functionsOf(stepcast.url, "e2e", undefined, hashed(KEY));
  return { app, between, stepcast, inngest, runs: runsAt(stepcast.url, hashed(KEY)) };
}

function signed(inngest, options) {
  return [
    inngest.createFunction({ id: "signed", triggers: [{ event: "app/signed" }], ...options }, async ({ event, step }) => {
      await step.realtime.publish("said", pipelineChannel(event.data).status, { message: "signed" });
      return step.run("text", () => event.data.text);
    }),
  ];
}

function clientOf(stepcast, options) {
  return new Inngest({ id: "e2e", isDev: false, baseUrl: stepcast.url, signingKey: KEY, eventKey: EVENT_KEY, logger: SILENT, ...options });
}

/** What is sent instead of a key. */
function hashed(key) {
  const [, prefix, hex] = /^(signkey-\w+-)(.*)$/.exec(key);
  return prefix + createHash("sha256").update(Buffer.from(hex, "hex")).digest("hex");
}

async function unsigned({ forward, response }) {
  const { status, headers, body } = await forward();
  delete headers["x-inngest-signature"];
  response.writeHead(status, headers).end(body);
}

async function signedByNobody({ forward, response }) {
  const { status, headers, body } = await forward();
  const signature = headers["x-inngest-signature"].replace(/s=.*/, `s=${"0".repeat(64)}`);
  response.writeHead(status, { ...headers, "x-inngest-signature": signature }).end(body);
}

/** The right signature of another time. */
async function replayed({ forward, response }) {
  const { status, headers, body } = await forward();
  const signature = headers["x-inngest-signature"].replace(/t=\d+/, `t=${Math.floor(Date.now() / 1000) - 3600}`);
  response.writeHead(status, { ...headers, "x-inngest-signature": signature }).end(body);
}
