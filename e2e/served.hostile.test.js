// Bad input to `stepcast dev`: each is refused with a sentence or ends on a run, and the server goes on.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { freshName } from "./support/pipeline.js";
import { outputOf, runsOf, startServed } from "./support/served.js";
import { runStepcast } from "./support/stepcast.js";

const timeout = 120_000;
/** The SDK sends a step that is too large to its checkpoint five times, with pauses, and answers the call with it then: 55 MB in all. */
const PATIENCE_WITH_MUCH_MS = 60_000;

let served;
before(async () => {
  served = await startServed({ functions });
}, { timeout });
after(() => served?.stop());

function functions(inngest) {
  const create = (id, handler) => inngest.createFunction({ id, triggers: [{ event: `lab/${id}` }], retries: 0 }, handler);
  return [
    create("echo", ({ event }) => event.data),
    create("huge", () => "x".repeat(9 << 20)),
    create("huge-step", ({ step }) => step.run("huge", () => "x".repeat(9 << 20))),
    create("unending", ({ step }) => step.run("throw", () => {
      throw new Error("é".repeat(1 << 16));
    })),
  ];
}

describe("bad input", { timeout }, () => {
  for (const id of ["huge", "huge-step"]) {
    test(`${id}: more than a server takes fails the run`, async () => {
      const [run] = await runsOf(served, { name: `lab/${id}`, data: {} }, 1, PATIENCE_WITH_MUCH_MS);
      assert.equal(run.status, "Failed");
      assert.ok(run.output.message.length > 20, run.output.message);
      await goesOn();
    });
  }

  test("a very long error is shown all the same", async () => {
    const [run] = await runsOf(served, { name: "lab/unending", data: {} });
    assert.equal(run.status, "Failed");
    assert.match(run.output.message, /é{100}/);
    await goesOn();
  });

  test("events that are none", async () => {
    const many = Array.from({ length: 5_001 }, () => ({ name: "lab/echo", data: {} }));
    const bodies = [many, [{ data: {} }], [{ name: "" }], [{ name: "inngest/mine", data: {} }], [{ name: "lab/echo", data: 1 }], "text", 7];
    for (const body of bodies) {
      const answer = await post("e/any", body);
      assert.ok([400, 413].includes(answer.status), `${answer.status} to ${JSON.stringify(body).slice(0, 60)}`);
      assert.ok(answer.body.error.length > 10, JSON.stringify(answer.body));
    }
    await goesOn();
  });

  test("registrations that are none", async () => {
    const functions = Array.from({ length: 10_000 }, (_, index) => ({
      id: `other-f${index}`,
      name: `f${index}`,
      triggers: [{ event: "lab/other" }],
      steps: { step: { id: "step", name: "step", runtime: { type: "http", url: `${served.app.url}?fnId=other-f${index}&stepId=step` } } },
    }));
    const app = { url: served.app.url, deployType: "ping", framework: "nodejs", appName: "other", sdk: "js:v4.24.0", v: "0.1" };
    const itself = new URL("api/inngest", served.stepcast.url).href;
    const [first] = functions;
    const atItself = { ...first, steps: { step: { ...first.steps.step, runtime: { type: "http", url: `${itself}?fnId=x&stepId=step` } } } };
    for (const body of [
      { ...app, functions },
      { ...app, url: itself, functions: [atItself] },
      { ...app, functions: [{ ...first, triggers: [{ event: "lab/other", expression: "event.data.x ==" }] }] },
      { ...app, functions: [{ ...first, triggers: [{ cron: "61 * * * *" }] }] },
      { ...app, functions: [first, first] },
      { ...app, functions: "none" },
      [],
    ]) {
      const answer = await post("fn/register", body);
      assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} to ${JSON.stringify(body).slice(0, 200)}`);
      assert.ok(JSON.stringify(answer.body).length > 20, JSON.stringify(answer.body));
    }
    await goesOn();
  });

  test("checkpoints of nobody", async () => {
    const run = "01KASE7J6K0000000000000000";
    const body = { run_id: run, fn_id: "x", qi_id: "x", request_id: "x", generation_id: 1, steps: [], ts: 1 };
    for (const answer of [await post(`v1/checkpoint/${run}/async`, body), await post(`v1/checkpoint/${run}/async`, "nonsense")]) {
      assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status));
    }
    await assert.rejects(served.runs.one(run), /404/);
    await assert.rejects(served.runs.one("nonsense"), /40[04]/);
    await goesOn();
  });
});

test("a function is invoked by its id, and events are sent from the command line", { timeout }, async () => {
  const { status, body } = await post("invoke/e2e-echo", { data: { by: "id" } });
  assert.equal(status, 200);
  assert.equal((await served.runs.ended(body.id))[0].output.by, "id");

  const name = freshName();
  const url = served.stepcast.url;
  const sent = await runStepcast("send", "lab/echo", JSON.stringify({ name }), "--url", url, "--json");
  assert.equal(sent.code, 0, sent.stderr);
  const [run] = await served.runs.ended(/01[0-9A-Z]{24}/.exec(sent.stdout)[0]);
  assert.deepEqual(run.output, { name });
  const shown = await runStepcast("runs", run.run_id, "--url", url, "--json");
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, new RegExp(name));
});

async function goesOn() {
  const name = freshName();
  assert.deepEqual(await outputOf(served, { name: "lab/echo", data: { name } }), { name });
}

async function post(path, body) {
  const response = await fetch(new URL(path, served.stepcast.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
}
