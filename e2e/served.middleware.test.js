// Apps of npm inngest with the middleware of the package: what a failed attempt of a step has published is taken back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { eventually, takeUntil, within } from "./support/deadline.js";
import { gate } from "./support/gate.js";
import { freshName } from "./support/pipeline.js";
import { runsOf, startServed } from "./support/served.js";

const timeout = 60_000;

let served;
let stepcast;
let pipeline;
let retried = 0;
/** One for each time that the step of `left` is executed: it goes on when that is opened. */
const executions = [];
/** What the executions of `left` were told when they published. */
const told = [];

before(async () => {
  const { Stepcast, realtime, staticSchema } = await import("../packages/stepcast/dist/index.js");
  const { PublishMiddleware } = await import("../packages/stepcast/dist/inngest.js");
  pipeline = realtime.channel({
    name: ({ name }) => `pipeline:${name}`,
    topics: { status: { schema: staticSchema() }, tokens: { schema: staticSchema(), text: "token" } },
  });
  served = await startServed({ functions, client: { middleware: [PublishMiddleware] }, isDurable: true });
  stepcast = new Stepcast({ url: served.stepcast.url });
}, { timeout });
after(() => served?.stop());

function functions(inngest) {
  return [
    inngest.createFunction({ id: "flaky", triggers: [{ event: "lab/flaky" }], retries: 2 }, async ({ event, publish, step }) => {
      const { status, tokens } = pipeline({ name: event.data.name });
      await publish(status, { message: "starting" });
      for (let n = 0; n < 2; n++) {
        await step.run("write", async () => {
          await publish(tokens, { token: `${n} begins ` });
          if (n === 1 && retried++ === 0) throw new Error("flaky");
          await publish(tokens, { token: `${n} ends ` });
        });
      }
      await publish(status, { message: "done" });
    }),
    inngest.createFunction({ id: "left", triggers: [{ event: "lab/left" }] }, async ({ event, publish, step }) => {
      const { status, tokens } = pipeline({ name: event.data.name });
      await step.run("write", async () => {
        const number = executions.length + 1;
        await publish(tokens, { token: `${number} begins ` });
        const execution = gate();
        executions.push(execution);
        await execution.opened;
        await publish(tokens, { token: `${number} ends ` }).then(() => told.push("published"), ({ code }) => told.push(code));
      });
      await publish(status, { message: "done" });
    }),
  ];
}

test("readers are told what is void, and see what took its place once", { timeout }, async () => {
  const name = freshName();
  const channel = pipeline({ name });
  const topics = ["status", "tokens"];
  const messages = await stepcast.realtime.subscribe({ channel, topics });
  const seen = [];
  const ended = (async () => {
    for await (const update of messages.updates()) {
      seen.push(update);
      if (update.kind === "message" && update.message.data.message === "done") return;
    }
  })();
  const [run] = await runsOf(served, { name: "lab/flaky", data: { name } });
  assert.equal(run.status, "Completed", JSON.stringify(run));
  await within(ended, () => `the end; so far ${JSON.stringify(seen)}`);
  messages.close();

  const said = seen.flatMap((update) => (update.kind === "message" ? [update.message.data.token ?? update.message.data.message] : update.kind === "rollback" ? ["void"] : []));
  assert.deepEqual(said, ["starting", "0 begins ", "0 ends ", "1 begins ", "void", "1 begins ", "1 ends ", "done"]);
  const rollback = seen.find(({ kind }) => kind === "rollback");
  assert.deepEqual([rollback.topic, rollback.attempt], ["tokens", 1]);
  const attempts = seen.filter(({ message }) => message?.topic === "tokens").map(({ message }) => [message.stepId, message.attempt]);
  assert.deepEqual(attempts, [["write", 1], ["write", 1], ["write:1", 1], ["write:1", 2], ["write:1", 2]]);

  const late = await stepcast.realtime.subscribe({ channel, topics, from: "start" });
  const kept = [];
  for await (const { topic, data } of late) {
    kept.push(data.token ?? data.message);
    if (topic === "status" && data.message === "done") break;
  }
  assert.deepEqual(kept, ["starting", "0 begins ", "0 ends ", "1 begins ", "1 ends ", "done"]);
});

test("an app that was left behind by a server's death speaks no more, and its words are not mixed with those of the next", { timeout }, async () => {
  const name = freshName();
  const { ids } = await served.inngest.send({ name: "lab/left", data: { name } });
  await eventually(() => executions.length === 1, () => "the first execution");
  served.stepcast = await served.stepcast.crash();
  await eventually(() => executions.length === 2, () => "the second execution");
  for (const execution of executions) execution.open();
  const [run] = await served.runs.ended(ids[0], 1, 30_000);
  assert.equal(run.status, "Completed", JSON.stringify(run));
  await eventually(() => told.length === 2, () => `both executions to end; told: ${told}`);
  assert.deepEqual(told.sort(), ["attempt_over", "published"]);

  const messages = await stepcast.realtime.subscribe({ channel: pipeline({ name }), topics: ["tokens", "status"], from: "start" });
  const kept = await takeUntil(messages, ({ topic }) => topic === "status", "the end");
  assert.deepEqual(kept.map(({ data }) => data.token ?? data.message), ["2 begins ", "2 ends ", "done"]);
});
