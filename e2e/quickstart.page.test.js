// The quickstart's own page in a real browser.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { artifact, launchBrowser, newPage, shows, textOf } from "./support/browser.js";
import { startQuickstart } from "./support/quickstart.js";

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

test("a run shows its tokens, its status and its end", { timeout }, async () => {
  const page = await openedPage();
  await page.click("#start");
  await showsCompletedRun(page);
  await page.screenshot({ path: artifact("quickstart.png"), fullPage: true });
  assert.deepEqual(page.complaints, []);
});

test("a second run starts with an empty text", { timeout }, async () => {
  const page = await openedPage();
  await page.click("#start");
  await showsCompletedRun(page);
  await page.reload();
  await shows(page, "#connection", "open");
  await page.click("#start");
  await showsCompletedRun(page);
});

test("a reload in the middle shows the whole run", { timeout }, async () => {
  const page = await openedPage();
  await page.click("#start");
  await shows(page, "#tokens", "Hello");
  await page.reload();
  await showsCompletedRun(page);
  assert.deepEqual(page.complaints, []);
});

test("a run goes on after the process was killed, and the page with it", { timeout }, async () => {
  const page = await openedPage();
  await page.click("#start");
  await shows(page, "#tokens", "Hello");
  quickstart = await quickstart.crash();
  // What the killed attempt had said is taken back, and the next one says all of it.
  await showsCompletedRun(page);
  await shows(page, "#connection", "open");
});

test("two pages see their own run only", { timeout }, async () => {
  const [one, other] = [await openedPage(), await openedPage()];

  await one.click("#start");
  await showsCompletedRun(one);
  assert.equal(await textOf(other, "#tokens"), "");
  assert.notEqual(await textOf(other, "#run"), "completed");

  await other.click("#start");
  await showsCompletedRun(other);
  assert.equal(await textOf(one, "#tokens"), "Hello world");
  assert.deepEqual([...one.complaints, ...other.complaints], []);
});

async function openedPage() {
  const page = await newPage(browser);
  await page.goto(quickstart.url);
  await shows(page, "#connection", "open");
  return page;
}

async function showsCompletedRun(page) {
  await shows(page, "#tokens", "Hello world");
  await shows(page, "#status", "Done!");
  await shows(page, "#run", "completed");
}
