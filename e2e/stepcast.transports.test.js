// The npm package's other ways to read, in a real browser: one tab that reads for all, requests that wait, and two copies on one page.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { launchBrowser, newPage } from "./support/browser.js";
import { eventually } from "./support/deadline.js";
import { postJson } from "./support/http.js";
import { freshJob, startQuickstart } from "./support/quickstart.js";
import { blockWebSockets, openPage, serve, showedOnlyText, shows, showsCompletedRun, TEXT } from "./support/react-tab.js";
import { socketsOf } from "./support/shown.js";

const timeout = 60_000;
const BUNDLE = new URL("../packages/stepcast/bundle/stepcast.js", import.meta.url);

let browser;
let context;
let quickstart;

before(async () => {
  browser = await launchBrowser();
}, { timeout });
after(() => browser?.close());
beforeEach(async () => {
  // Tabs meet within a context only.
  [quickstart, context] = await Promise.all([startQuickstart(), browser.newContext()]);
}, { timeout });
afterEach(async () => {
  await context?.close();
  await quickstart?.stop();
});

test("shared: two tabs show a run over one WebSocket", { timeout }, async () => {
  const first = await openedTab();
  const second = await openedTab(hashOf(first));
  await first.click("#start");
  await showsCompletedRun(first);
  await shows(second, "#text", TEXT);
  await shows(second, "#status", "Done!");
  await showedOnlyText(second);
  assert.deepEqual([first.sockets.length, second.sockets.length], [1, 0]);
  // One that joins late has all of it, also where the run is.
  const third = await openedTab(hashOf(first));
  await showsCompletedRun(third);
  assert.deepEqual([first.sockets.length, second.sockets.length, third.sockets.length], [1, 0, 0]);
  for (const tab of [first, second, third]) assert.deepEqual(tab.complaints, []);
});

test("shared: when the tab that reads for all is closed, another one goes on, without loss and without doubles", { timeout }, async () => {
  const first = await openedTab();
  const second = await openedTab(hashOf(first));
  const third = await openedTab(hashOf(first));
  await first.click("#start");
  await shows(second, "#text", "Hello");
  await first.close();
  for (const tab of [second, third]) {
    await shows(tab, "#text", TEXT);
    await shows(tab, "#status", "Done!");
    await showedOnlyText(tab);
  }
  const heirs = () => [second, third].filter(({ sockets }) => sockets.length > 0);
  await eventually(() => heirs().length > 0, () => "a WebSocket of another tab");
  await shows(second, "#connection", "open");
  await shows(third, "#connection", "open");
  assert.deepEqual(heirs().map(({ sockets }) => sockets.length), [1]);
  // What comes after the change is read as well: the same job once more, whose text takes the place of the first one's.
  const texts = await third.evaluate(() => globalThis.texts.length);
  await second.click("#start");
  await shows(second, "#run", "completed");
  await eventually(() => third.evaluate((before) => globalThis.texts.length > before, texts), () => "the text of the second run");
  await shows(third, "#text", TEXT);
  await showedOnlyText(third);
});

test("long-poll: where neither WebSockets nor streams get through, the whole run is shown", { timeout }, async () => {
  const tab = await newPage(context);
  const requests = [];
  tab.on("request", (request) => requests.push(new URL(request.url()).pathname));
  await blockWebSockets(tab);
  await tab.addInitScript(() => delete globalThis.EventSource);
  await tab.route("**/v1/realtime/sse?*", (route) => route.abort());
  await openPage(tab, quickstart, { platform: "long-poll" });
  await tab.click("#start");
  await showsCompletedRun(tab);
  await tab.reload();
  await showsCompletedRun(tab);
  assert.ok(requests.filter((path) => path === "/v1/realtime/messages").length >= 4, requests.join(", "));
  assert.ok(!requests.some((path) => /realtime\/(sse|connect)/.test(path)), requests.join(", "));
  assert.deepEqual(tab.complaints, []);
});

test("two copies of the package on a page share what they read", { timeout }, async () => {
  const tab = await newPage(context);
  const sockets = socketsOf(tab);
  const tokens = [];
  tab.on("request", (request) => new URL(request.url()).pathname === "/token" && tokens.push(request.url()));
  const url = new URL("/copies", quickstart.url);
  const bundle = await readFile(BUNDLE, "utf8");
  for (const copy of ["one", "other"]) await serve(tab, new URL(`/${copy}.js`, url), "text/javascript", bundle);
  const job = freshJob();
  await serve(tab, url, "text/html", copiesPage(job));
  await tab.goto(url.href);
  await shows(tab, "#one-connection", "open");
  await shows(tab, "#other-connection", "open");
  await postJson(new URL("/start", url), { job });
  await shows(tab, "#one", TEXT);
  await shows(tab, "#other", TEXT);
  assert.equal(await tab.evaluate(() => globalThis.isOneModule), false);
  assert.equal(sockets.length, 1);
  assert.equal(tokens.length, 1, tokens.join(", "));
  assert.deepEqual(tab.complaints, []);
});

/** What `#job` has said so far, by each of two copies. */
function copiesPage(job) {
  const ask = JSON.stringify({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ job }) });
  return `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
    <p id="one"></p><p id="one-connection"></p><p id="other"></p><p id="other-connection"></p>
    <script type="module">
      import { observe as one } from "/one.js";
      import { observe as other } from "/other.js";
      globalThis.isOneModule = one === other;
      const token = () => fetch("/token", ${ask}).then((answer) => answer.json()).then(({ token }) => token);
      const options = { channel: "pipeline:${job}", topics: ["status", "tokens"], from: "start", token };
      for (const [name, observe] of Object.entries({ one, other })) {
        observe(options, ({ connectionStatus, messages }) => {
          document.getElementById(name).textContent = messages.text.tokens ?? "";
          document.getElementById(name + "-connection").textContent = connectionStatus;
        });
      }
    </script>`;
}

/** A tab that shares, once its connection stands. */
async function openedTab(hash) {
  const tab = await newPage(context);
  tab.sockets = socketsOf(tab);
  await openPage(tab, quickstart, hash ?? { platform: "shared" });
  await shows(tab, "#connection", "open");
  return tab;
}

function hashOf(tab) {
  return new URL(tab.url()).hash;
}
