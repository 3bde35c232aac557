// Requests that functions of npm inngest have the server make, `step.ai.infer` and `step.fetch`, to an upstream in this process.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";

import { close } from "./support/app.js";
import { outputOf, runsOf, startServed } from "./support/served.js";

const timeout = 60_000;

let served;
let upstream;
/** What the upstream was asked. */
const asked = [];
/** What it answers next. */
const answers = [];

before(async () => {
  upstream = http.createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    asked.push({ method: request.method, path: request.url, headers: request.headers, body });
    const { status = 200, headers = {}, body: text = "" } = answers.shift() ?? {};
    response.writeHead(status, headers).end(text);
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  served = await startServed({ functions });
}, { timeout });
after(async () => {
  await served?.stop();
  await close(upstream);
});
beforeEach(() => {
  asked.length = 0;
  answers.length = 0;
});

const url = (path = "/") => `http://127.0.0.1:${upstream.address().port}${path}`;

function functions(inngest) {
  const create = (id, handler, options) => inngest.createFunction({ id, triggers: [{ event: `lab/${id}` }], retries: 2, ...options }, handler);
  const model = (step) => step.ai.models.openai({ model: "small", apiKey: "sk-4711", baseUrl: url("/v1") });
  const infer = (step) => step.ai.infer("ask", { model: model(step), body: { messages: [{ role: "user", content: "hi" }] } });
  return [
    create("infer", async ({ step }) => (await infer(step)).choices[0].message.content),
    create("caught", ({ step }) => infer(step).catch((error) => ({ caught: error.message }))),
    create("fetch", async ({ step }) => {
      const response = await step.fetch(url("/from"), { method: "POST", headers: { "x-mine": "1" }, body: "hello" });
      return { status: response.status, header: response.headers.get("x-theirs"), text: await response.text() };
    }),
    create("empty", async ({ step }) => {
      const response = await step.fetch(url("/empty"));
      return { status: response.status, text: await response.text() };
    }),
    create("many", async ({ step }) => {
      const get = async (n) => (await step.fetch(url(`/${n}`))).text();
      const texts = await Promise.all([get(1), get(2), step.run("beside", () => "beside")]);
      return [...texts, await step.run("after", () => "after")];
    }),
    create("anywhere", async ({ event, step }) => {
      const response = await step.fetch(event.data.url);
      return response.text();
    }),
  ];
}

test("a model answers, and its key reaches nobody else", { timeout }, async () => {
  answers.push({ headers: { "content-type": "application/json" }, body: JSON.stringify({ choices: [{ message: { content: "hello" } }] }) });
  assert.equal(await outputOf(served, { name: "lab/infer", data: {} }), "hello");
  const [{ method, path, headers, body }] = asked;
  assert.deepEqual([method, path, headers.authorization], ["POST", "/v1/chat/completions", "Bearer sk-4711"]);
  assert.deepEqual(JSON.parse(body), { messages: [{ role: "user", content: "hi" }], model: "small" });
  assert.equal(asked.length, 1);
  assert.doesNotMatch(served.stepcast.log(), /sk-4711/);
});

test("a model that is busy is asked again, and one that refuses fails the step", { timeout }, async () => {
  answers.push({ status: 503, body: "busy" }, { body: JSON.stringify({ choices: [{ message: { content: "at last" } }] }) });
  assert.equal(await outputOf(served, { name: "lab/infer", data: {} }), "at last");
  assert.equal(asked.length, 2);
  answers.push({ status: 401, body: "who are you?" });
  const { caught } = await outputOf(served, { name: "lab/caught", data: {} });
  assert.match(caught, /answered with status 401: who are you\?/);
  assert.equal(asked.length, 3);
});

test("a response is a `Response`, after its redirects", { timeout }, async () => {
  answers.push({ status: 307, headers: { location: "/to" } }, { status: 404, headers: { "x-theirs": "2" }, body: "gone ü" });
  assert.deepEqual(await outputOf(served, { name: "lab/fetch", data: {} }), { status: 404, header: "2", text: "gone ü" });
  assert.deepEqual(asked.map(({ path, body, headers }) => [path, body, headers["x-mine"]]), [["/from", "hello", "1"], ["/to", "hello", "1"]]);
  answers.push({ status: 204 });
  assert.deepEqual(await outputOf(served, { name: "lab/empty", data: {} }), { status: 204, text: "" });
});

test("several go on beside steps, each once", { timeout }, async () => {
  answers.push({ body: "a" }, { body: "b" });
  const texts = await outputOf(served, { name: "lab/many", data: {} });
  assert.deepEqual([texts.slice(0, 2).sort(), texts.slice(2)], [["a", "b"], ["beside", "after"]]);
  assert.deepEqual(asked.map(({ path }) => path).sort(), ["/1", "/2"]);
});

test("the server itself is not asked", { timeout }, async () => {
  const [run] = await runsOf(served, { name: "lab/anywhere", data: { url: new URL("v1/runs", served.stepcast.url).href } });
  assert.equal(run.status, "Failed");
  assert.match(run.output.message, /is this server itself/);
});
