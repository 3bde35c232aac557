// Server-sent events without any client library.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { takeUntil, within } from "./support/deadline.js";
import { events } from "./support/event-stream.js";
import { open, postJson, send } from "./support/http.js";
import { freshJob, startQuickstart } from "./support/quickstart.js";

const timeout = 60_000;

let quickstart;

before(async () => {
  quickstart = await startQuickstart();
}, { timeout });
after(() => quickstart?.stop());

test("a run arrives as events, each with an id", { timeout }, async () => {
  const { job, token } = await minted();
  const response = await stream(token);
  await post("start", { job });

  const seen = await untilDone(response);
  assert.deepEqual(tokensOf(seen), ["Hello", " ", "world"]);
  const ids = seen.map((message) => message.id);
  assert.ok(ids.every((id) => id), JSON.stringify(seen));
  assert.equal(new Set(ids).size, ids.length);
});

test("Last-Event-ID goes on after that event", { timeout }, async () => {
  const { job, token } = await minted();
  const response = await stream(token);
  await post("start", { job });
  const seen = await untilDone(response);

  const lastToken = seen.findLast(({ message }) => message.topic === "tokens");
  const rest = await untilDone(await stream(token, { "last-event-id": lastToken.id }));
  assert.deepEqual(rest, seen.slice(seen.indexOf(lastToken) + 1));
});

test("no token, no stream", { timeout }, async () => {
  const { status, body } = await send(new URL("/v1/realtime/sse?token=not-a-token", quickstart.url));
  assert.equal(status, 401);
  assert.equal(body.code, "bad_token");
});

async function minted() {
  const job = freshJob();
  const { token } = await post("token", { job });
  return { job, token };
}

async function stream(token, headers = {}) {
  const url = new URL("/v1/realtime/sse", quickstart.url);
  url.searchParams.set("token", token);
  const response = await within(open(url, { headers }), () => "the head of the event stream");
  assert.equal(response.statusCode, 200);
  assert.match(response.headers["content-type"], /^text\/event-stream/);
  return response;
}

function post(route, body) {
  return postJson(new URL(route, quickstart.url), body);
}

/** The data messages up to the quickstart's last one, each with the id of its event. Ends the response. */
async function untilDone(response) {
  const isDone = ({ data }) => {
    const message = JSON.parse(data);
    return message.kind === "data" && message.topic === "status" && message.data.message === "Done!";
  };
  try {
    const all = await takeUntil(events(response), isDone, "the final status");
    return all
      .map(({ id, data }) => ({ id, message: JSON.parse(data) }))
      .filter(({ message }) => message.kind === "data");
  } finally {
    response.destroy();
  }
}

function tokensOf(seen) {
  return seen.filter(({ message }) => message.topic === "tokens").map(({ message }) => message.data.token);
}
