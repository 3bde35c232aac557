// The npm package `stepcast` in a real browser: the hook against the quickstart, through a reload and the death of the server.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { launchBrowser, newPage } from "./support/browser.js";
import { startQuickstart } from "./support/quickstart.js";
import { blockWebSockets, openPage, shows, showsCompletedRun, TEXT } from "./support/react-tab.js";

const timeout = 60_000;

let browser;
let quickstart;

before(async () => {
  browser = await launchBrowser();
}, { timeout });
after(() => browser?.close());
beforeEach(async () => {
  quickstart = await startQuickstart();
}, { timeout });
afterEach(() => quickstart?.stop());

test("a run shows its text, its status and its steps", { timeout }, async () => {
  const page = await openedPage();
  await page.click("#start");
  await showsCompletedRun(page);
  await shows(page, "#steps", "final-status completed, stream-output completed");
  assert.deepEqual(page.complaints, []);
});

test("a reload in the middle shows the whole run", { timeout }, async () => {
  const page = await openedPage();
  await page.click("#start");
  await shows(page, "#text", "Hello");
  await page.reload();
  await showsCompletedRun(page);
  assert.deepEqual(page.complaints, []);
});

test("a page that comes late shows what a page has shown that was there", { timeout }, async () => {
  const page = await openedPage();
  await page.click("#start");
  await showsCompletedRun(page);
  const late = await openedPage(new URL(page.url()).hash);
  await showsCompletedRun(late);
  assert.deepEqual(await late.evaluate(() => globalThis.texts.filter((text) => text !== "")), [TEXT]);
});

test("a server that was killed and comes back: text is replaced, never doubled", { timeout }, async () => {
  const page = await openedPage();
  await page.click("#start");
  await shows(page, "#text", "Hello");
  quickstart = await quickstart.crash();
  await showsCompletedRun(page);
  await shows(page, "#connection", "open");
});

for (const isBlocked of [false, true]) {
  test(`a page that is older than the server ${isBlocked ? "and has no WebSockets " : ""}reads what it understands`, { timeout }, async () => {
    const page = await newPage(browser);
    if (isBlocked) await blockWebSockets(page);
    await openPage(page, quickstart, { outdated: "" });
    await shows(page, "#error", "outdated_client");
    await page.click("#start");
    await shows(page, "#text", TEXT);
    await shows(page, "#run", "completed");
    await shows(page, "#connection", "open");
    await shows(page, "#status", "");
  });
}

test("where WebSockets are blocked, server-sent events do", { timeout }, async () => {
  const page = await newPage(browser);
  const streams = [];
  page.on("request", (request) => new URL(request.url()).pathname === "/v1/realtime/sse" && streams.push(request.url()));
  await blockWebSockets(page);
  await openPage(page, quickstart);
  await page.click("#start");
  await showsCompletedRun(page);
  await page.reload();
  await showsCompletedRun(page);
  assert.ok(streams.length >= 4, streams.join(", "));
});

test("the channels of a page share one connection", { timeout }, async () => {
  const page = await newPage(browser);
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  await openPage(page, quickstart);
  await page.click("#start");
  await showsCompletedRun(page);
  assert.equal(sockets.length, 1, sockets.join(", "));
});

async function openedPage(hash) {
  const page = await newPage(browser);
  await openPage(page, quickstart, hash);
  return page;
}
