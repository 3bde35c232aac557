// The npm package `stepcast` in a real browser: the hook against the quickstart, through a reload and the death of the server.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { launchBrowser, newPage } from "./support/browser.js";
import { bundledPage } from "./support/bundle.js";
import { freshJob, startQuickstart } from "./support/quickstart.js";

const timeout = 60_000;
const TEXT = "Hello world";

let browser;
let quickstart;
let html;

before(async () => {
  [browser, html] = await Promise.all([launchBrowser(), bundledPage(new URL("./support/react-page.js", import.meta.url))]);
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
    await open(page, `#job=${freshJob()}&outdated`);
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
  await open(page);
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
  await open(page);
  await page.click("#start");
  await showsCompletedRun(page);
  assert.equal(sockets.length, 1, sockets.join(", "));
});

function blockWebSockets(page) {
  return page.addInitScript(() => {
    globalThis.WebSocket = class {
      constructor() {
        throw new Error("blocked");
      }
    };
  });
}

async function openedPage(hash = "") {
  const page = await newPage(browser);
  await open(page, hash);
  return page;
}

/** The page comes from the quickstart's own origin, as an application's would. */
async function open(page, hash = `#job=${freshJob()}`) {
  const url = new URL("/app", quickstart.url);
  // A page that the test hands in is of no network, and Chromium asks before it may reach this machine.
  await page.context().grantPermissions(["local-network-access"]);
  await page.route(url.href, (route) => route.fulfill({ contentType: "text/html", body: html }));
  await page.goto(`${url}${hash || `#job=${freshJob()}`}`);
  await page.waitForSelector("#connection");
}

/** Also that no text was ever shown that is not on the way to the whole one. */
async function showsCompletedRun(page) {
  await shows(page, "#text", TEXT);
  await shows(page, "#status", "Done!");
  await shows(page, "#run", "completed");
  const texts = await page.evaluate(() => globalThis.texts);
  for (const text of texts) assert.ok(TEXT.startsWith(text), JSON.stringify(texts));
}

async function shows(page, selector, expected) {
  const matches = ([selector, expected]) => document.querySelector(selector)?.textContent === expected;
  try {
    await page.waitForFunction(matches, [selector, expected], { timeout: 20_000 });
  } catch (cause) {
    const shown = await page.evaluate(() => document.body.innerText);
    throw new Error(`${selector} should show "${expected}"; the page shows ${JSON.stringify(shown)}; ${page.complaints?.join("; ")}`, { cause });
  }
}
