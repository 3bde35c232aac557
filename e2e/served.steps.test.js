// Steps of npm inngest functions on `stepcast dev`: what runs how often, and what a run comes to.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { NonRetriableError, RetryAfterError } from "inngest";
import { subscribe } from "inngest/realtime";

import { dataOf, freshName, pipelineChannel, topics, untilRunEnded } from "./support/pipeline.js";
import { outputOf, runsOf, startServed } from "./support/served.js";

const timeout = 60_000;

/** How often something was done, by its name. */
const done = new Map();
/** Counts; answers with how often it was done before. */
function count(name) {
  const before = done.get(name) ?? 0;
  done.set(name, before + 1);
  return before;
}

let served;
before(async () => {
  served = await startServed({ functions });
}, { timeout });
after(() => served?.stop());

function functions(inngest) {
  const create = (id, handler, options) => inngest.createFunction({ id, triggers: [{ event: `lab/${id}` }], ...options }, handler);
  return [
    create("retry-memo", async ({ event, step, attempt }) => {
      const { status } = pipelineChannel({ runId: event.data.runId });
      await step.realtime.publish("durable", status, { message: "durable" });
      const out = await step.run("flaky", () => {
        if (count("flaky") === 0) throw new Error("boom step");
        return { ok: true };
      });
      await inngest.realtime.publish(status, { message: "end" });
      return { out, attempt };
    }, { retries: 2 }),
    create("fn-retry", async ({ step, attempt }) => {
      await step.run("a", () => count("fn-retry a"));
      if (attempt === 0) throw new Error("boom fn");
      return { done: true, attempt };
    }, { retries: 1 }),
    create("publish-retry", async ({ event, attempt }) => {
      const { tokens } = pipelineChannel({ runId: event.data.runId });
      await inngest.realtime.publish(tokens, { token: `of attempt ${attempt}` });
      if (attempt === 0) throw new Error("said too early");
    }, { retries: 1 }),
    create("parallel", async ({ step }) => {
      const together = await Promise.all(["a", "b", "c"].map((id) => step.run(id, () => id.toUpperCase())));
      return step.run("join", () => together.join(""));
    }),
    create("parallel-flaky", async ({ step }) => {
      const flaky = (id, fails) => step.run(id, () => {
        if (count(`parallel ${id}`) < fails) throw new Error(`boom ${id}`);
        return id;
      });
      return Promise.all([flaky("never", 0), flaky("once", 1), flaky("twice", 2)]);
    }, { retries: 2 }),
    create("race", async ({ step }) => {
      const winner = await Promise.race(["fast", "slow"].map((id, index) => step.run(id, () => later(id, index * 200))));
      return step.run("after", () => `${winner} won`);
    }),
    create("group-race", async ({ step, group }) => {
      const winner = await group.parallel({ mode: "race" }, () => Promise.race([
        step.run("quick", () => "quick"),
        step.sleep("lame", "2s").then(() => "lame"),
      ]));
      return step.run("after", () => ({ winner, at: Date.now() }));
    }),
    create("caught", async ({ step }) => {
      try {
        await step.run("bad", () => {
          count("bad");
          throw new TypeError("caught me");
        });
      } catch (error) {
        return step.run("cleanup", () => ({ caught: error.message, name: error.name }));
      }
    }, { retries: 1 }),
    create("no-retry-step", ({ step }) => step.run("fatal", () => {
      count("fatal step");
      throw new NonRetriableError("fatal step");
    })),
    create("no-retry", () => {
      count("fatal");
      throw new NonRetriableError("fatal", { cause: new Error("the reason") });
    }),
    create("exhausted", () => {
      count("exhausted");
      throw new Error("always");
    }, { retries: 2 }),
    create("retry-after", ({ step }) => step.run("limited", () => {
      if (count("limited") === 0) throw new RetryAfterError("too many", "1s");
      return "let in";
    })),
    create("loop", async ({ step }) => {
      let sum = 0;
      for (let round = 0; round < 40; round += 1) sum += await step.run("add", () => (count("add"), round));
      return sum;
    }),
    create("nothing", () => {}),
    create("without-checkpoints", threeSteps, { checkpointing: false }),
    create("buffered", threeSteps, { checkpointing: { bufferedSteps: 2, maxInterval: "5s" } }),
    create("buffered-all", threeSteps, { checkpointing: { bufferedSteps: 50 } }),
    create("short-runtime", async ({ step }) => {
      for (const id of ["a", "b", "c"]) await step.run(id, () => later(count(`short ${id}`), 30));
      return "long enough";
    }, { checkpointing: { maxRuntime: 20 } }),
    create("version-one", async ({ step }) => {
      const both = await Promise.all([step.run("a", () => count("v1 a")), step.run("b", () => count("v1 b"))]);
      return step.run("c", () => both);
    }, { optimizeParallelism: false }),
    create("large", async ({ step }) => {
      let length = 0;
      for (const id of ["a", "b", "c"]) length += (await step.run(id, () => (count(`large ${id}`), id.repeat(2 << 20)))).length;
      await step.sleep("nap", "1s");
      const again = await step.run("d", () => "d");
      return { length, again };
    }),
    create("wrapped", ({ step }) => step.ai.wrap("think", async (x) => x * 2, 21)),
    create("undefined", async ({ step }) => [await step.run("void", () => undefined), await step.run("null", () => null)]),
    create("context", ({ event, events, runId, attempt, maxAttempts }) => ({
      event, events: events.length, runId, attempt, maxAttempts,
    }), { retries: 3 }),
  ];
}

/** The work of steps that take their time. */
function later(value, milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, value));
}

async function threeSteps({ event, step }) {
  const seen = [];
  for (const id of ["a", "b", "c"]) seen.push(await step.run(id, () => count(`${event.name} ${id}`)));
  return seen;
}

describe("failures and retries", { timeout }, () => {
  test("a step that fails is tried again, those before it are not", async () => {
    const runId = freshName();
    const messages = await subscribe(await served.inngest.realtime.token({ channel: pipelineChannel({ runId }), topics }));
    assert.deepEqual((await outputOf(served, event("retry-memo", { runId }))).out, { ok: true });
    const said = dataOf(await untilRunEnded(messages), "status").map(({ message }) => message);
    assert.deepEqual(said.filter((message) => message === "durable"), ["durable"], "a durable publish is done once");
    assert.equal(said.at(-1), "end");
    assert.equal(done.get("flaky"), 2);
  });

  test("a function that fails is tried again, its steps are not", async () => {
    assert.deepEqual(await outputOf(served, event("fn-retry")), { done: true, attempt: 1 });
    assert.equal(done.get("fn-retry a"), 1);
  });

  test("a function that failed says the same thing again at its next attempt", async () => {
    const runId = freshName();
    const messages = await subscribe(await served.inngest.realtime.token({ channel: pipelineChannel({ runId }), topics }));
    await runsOf(served, event("publish-retry", { runId }));
    const said = dataOf(await untilRunEnded(messages), "tokens").map(({ token }) => token);
    assert.deepEqual(said, ["of attempt 0", "of attempt 1"]);
  });

  test("a step that fails for good can be caught", async () => {
    assert.deepEqual(await outputOf(served, event("caught")), { caught: "caught me", name: "TypeError" });
    assert.equal(done.get("bad"), 2);
  });

  for (const [name, message, times] of [
    ["no-retry", "fatal", 1],
    ["no-retry-step", "fatal step", 1],
    ["exhausted", "always", 3],
  ]) {
    test(`${name}: a run ends with its error after ${times} attempt(s)`, async () => {
      const [run] = await runsOf(served, event(name));
      assert.equal(run.status, "Failed");
      assert.match(run.output.message, new RegExp(message));
      const counted = { "no-retry": "fatal", "no-retry-step": "fatal step" }[name] ?? name;
      assert.equal(done.get(counted), times);
    });
  }

  test("RetryAfterError says when", async () => {
    const began = Date.now();
    assert.equal(await outputOf(served, event("retry-after")), "let in");
    assert.ok(Date.now() - began >= 950, `${Date.now() - began} ms`);
  });
});

describe("parallel steps", { timeout }, () => {
  test("all run, and each once", async () => {
    assert.equal(await outputOf(served, event("parallel")), "ABC");
    const [found, ...steps] = served.app.callsOf("e2e-parallel");
    assert.equal(found.stepId, "step");
    assert.equal(steps.filter(({ stepId }) => stepId !== "step").length, 3);
    assert.equal(served.app.callsOf("e2e-parallel").length, 5, "one discovery, three steps, one end");
  });

  test("each is tried again on its own", async () => {
    assert.deepEqual(await outputOf(served, event("parallel-flaky")), ["never", "once", "twice"]);
    assert.deepEqual(["never", "once", "twice"].map((id) => done.get(`parallel ${id}`)), [1, 2, 3]);
  });

  test("a race goes on with its winner", async () => {
    assert.equal(await outputOf(served, event("race")), "fast won");
  });

  test("a race in a group goes on before its losers, and ends after them", async () => {
    const began = Date.now();
    const { winner, at } = await outputOf(served, event("group-race"));
    assert.equal(winner, "quick");
    assert.ok(at - began < 1500 && Date.now() - began >= 1900, `${at - began} ms, ${Date.now() - began} ms`);
  });

  test("without optimized parallelism", async () => {
    assert.deepEqual(await outputOf(served, event("version-one")), [0, 0]);
    assert.deepEqual(["a", "b"].map((id) => done.get(`v1 ${id}`)), [1, 1]);
  });
});

describe("ways to execute", { timeout }, () => {
  for (const [name, calls] of [["without-checkpoints", 4], ["buffered", 1], ["buffered-all", 1]]) {
    test(`${name}: three steps run once in ${calls} call(s)`, async () => {
      assert.deepEqual(await outputOf(served, event(name)), [0, 0, 0]);
      assert.deepEqual(["a", "b", "c"].map((id) => done.get(`lab/${name} ${id}`)), [1, 1, 1]);
      assert.equal(served.app.callsOf(`e2e-${name}`).length, calls);
    });
  }

  test("a call that has run too long is followed by others", async () => {
    assert.equal(await outputOf(served, event("short-runtime")), "long enough");
    assert.deepEqual(["a", "b", "c"].map((id) => done.get(`short ${id}`)), [1, 1, 1]);
    assert.ok(served.app.callsOf("e2e-short-runtime").length > 1);
  });

  test("state over 4 MiB is fetched by the SDK", async () => {
    assert.deepEqual(await outputOf(served, event("large")), { length: 6 << 20, again: "d" });
    assert.deepEqual(["a", "b", "c"].map((id) => done.get(`large ${id}`)), [1, 1, 1]);
  });

  test("one id in a loop is one step per round", async () => {
    assert.equal(await outputOf(served, event("loop")), 780);
    assert.equal(done.get("add"), 40);
  });

  test("nothing at all", async () => {
    assert.equal((await outputOf(served, event("nothing"))) ?? null, null);
    assert.deepEqual(await outputOf(served, event("undefined")), [null, null]);
  });

  test("step.ai.wrap", async () => {
    assert.equal(await outputOf(served, event("wrapped")), 42);
  });

  test("a function sees its event, its run and its attempts", async () => {
    const sent = { ...event("context", { x: { y: [1, "ü", null] } }), id: freshName(), ts: 1_700_000_000_123 };
    const [run] = await runsOf(served, sent);
    const { event: seen, events, runId, attempt, maxAttempts } = run.output;
    assert.deepEqual({ name: seen.name, data: seen.data, id: seen.id, ts: seen.ts }, sent);
    assert.deepEqual({ events, runId, attempt, maxAttempts }, { events: 1, runId: run.run_id, attempt: 0, maxAttempts: 4 });
  });
});

describe("a streaming app", { timeout }, () => {
  let streaming;
  before(async () => {
    streaming = await startServed({
      functions: (inngest) => [
        inngest.createFunction({ id: "streamed", triggers: [{ event: "lab/streamed" }] }, async ({ step }) => {
          const a = await step.run("a", () => "a");
          await step.sleep("nap", "1s");
          return a;
        }),
        inngest.createFunction({ id: "broken", triggers: [{ event: "lab/broken" }], retries: 0 }, () => {
          throw new Error("broken in a stream");
        }),
      ],
      serving: { streaming: true },
    });
  });
  after(() => streaming?.stop());

  test("answers 201 first and the rest later", async () => {
    assert.equal(await outputOf(streaming, event("streamed")), "a");
    const [broken] = await runsOf(streaming, event("broken"));
    assert.equal(broken.status, "Failed");
    assert.match(broken.output.message, /broken in a stream/);
    assert.ok(streaming.app.calls.every(({ status }) => status === 201), JSON.stringify(streaming.app.calls));
  });
});

function event(id, data = {}) {
  return { name: `lab/${id}`, data };
}
