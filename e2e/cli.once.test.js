// The quickstart on a terminal: one run without a page, and what it says when it cannot start.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";

import { open, postJson } from "./support/http.js";
import { freshJob, runQuickstart, startQuickstart } from "./support/quickstart.js";

const timeout = 60_000;

test("--once prints one run as JSON lines, then its status, and ends", { timeout }, async () => {
  const { stdout, stderr, code } = await runQuickstart("--once");
  assert.equal(code, 0, stderr);

  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.pop(), "completed");
  const messages = lines.map((line) => JSON.parse(line));
  for (const message of messages) {
    assert.deepEqual(Object.keys(message).sort(), ["data", "offset", "topic"]);
  }
  const tokens = messages.filter((message) => message.topic === "tokens").map((message) => message.data.token);
  assert.deepEqual(tokens, ["Hello", " ", "world"]);
  assert.equal(messages.at(-1).topic, "status");
  assert.equal(messages.at(-1).data.message, "Done!");

  const offsets = messages.map((message) => Number(message.offset));
  assert.ok(offsets.every(Number.isInteger), stdout);
  assert.ok(offsets.every((offset, index) => index === 0 || offset > offsets[index - 1]), stdout);
});

test("a taken port is named, with what to do", { timeout }, async (t) => {
  const squatter = net.createServer().listen(0, "127.0.0.1");
  t.after(() => squatter.close());
  await once(squatter, "listening");
  const port = String(squatter.address().port);

  const { stdout, stderr, code } = await runQuickstart("--port", port);
  assert.notEqual(code, 0);
  assert.equal(stdout, "");
  assert.ok(stderr.includes(port) && stderr.includes("--port"), stderr);
});

test("SIGTERM ends it, even while somebody reads", { timeout }, async () => {
  const quickstart = await startQuickstart();
  const { token } = await postJson(new URL("token", quickstart.url), { job: freshJob() });
  const stream = await open(new URL(`/v1/realtime/sse?token=${token}`, quickstart.url));
  // A stream cut off by the server is an error to Node, and here the expected end.
  stream.on("error", () => {}).resume();
  assert.equal(stream.statusCode, 200);

  assert.equal(await quickstart.stop(), 0);
});
