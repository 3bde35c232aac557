// Operator routes need no key in dev mode, so a page of another origin must not reach them through a browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { send } from "./support/http.js";
import { freshJob, startQuickstart } from "./support/quickstart.js";

const timeout = 60_000;

let quickstart;

before(async () => {
  quickstart = await startQuickstart();
}, { timeout });
after(() => quickstart?.stop());

const grants = () => [{ channel: `pipeline:${freshJob()}`, name: "status", kind: "run" }];
const event = () => ({ name: "app/generate", data: { job: freshJob() } });

test("its own page, and a program that names no origin, may write", { timeout }, async () => {
  const origin = new URL(quickstart.url).origin;
  assert.equal((await post("/v1/realtime/token", grants(), {})).status, 201);
  assert.equal((await post("/v1/realtime/token", grants(), { origin })).status, 201);
});

test("a foreign origin may not mint tokens", { timeout }, async () => {
  refused(await post("/v1/realtime/token", grants(), { origin: "https://evil.example" }));
});

test("a foreign origin may not send events", { timeout }, async () => {
  refused(await post("/e/dev", event(), { origin: "https://evil.example" }));
  // What a form or `fetch` in mode no-cors sends, which a browser does not ask about beforehand.
  refused(await post("/e/dev", event(), { origin: "null", "content-type": "text/plain" }));
});

test("another port of this machine is a foreign origin too", { timeout }, async () => {
  refused(await post("/e/dev", event(), { origin: `http://127.0.0.1:${quickstart.port + 1}` }));
});

test("a foreign host may neither write nor read", { timeout }, async () => {
  const host = "evil.example";
  refused(await post("/v1/realtime/token", grants(), { host }));
  refused(await post("/e/dev", event(), { host }));
  refused(await send(new URL("/v1/runs", quickstart.url), { headers: { host } }));
});

test("a host that only begins like this machine is foreign", { timeout }, async () => {
  refused(await post("/e/dev", event(), { host: "127.0.0.1.evil.example" }));
  refused(await post("/e/dev", event(), { host: "localhost.evil.example" }));
});

function post(route, body, headers) {
  return send(new URL(route, quickstart.url), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
}

function refused({ status, body }) {
  assert.equal(status, 403, JSON.stringify(body));
  assert.equal(body.code, "foreign_origin");
}
