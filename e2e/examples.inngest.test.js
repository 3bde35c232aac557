// The example of an app of npm inngest: its page, in a real browser, through all that happens to pages.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { artifact, launchBrowser, newPage, shows } from "./support/browser.js";
import { eventually } from "./support/deadline.js";
import { projectOf } from "./support/project.js";
import { shownBy, socketsOf, watch } from "./support/shown.js";
import { startSite } from "./support/site.js";
import { runStepcast } from "./support/stepcast.js";
import { CRASH, TRIALS } from "./support/trials.js";

const timeout = 60_000;
const APP = fileURLToPath(new URL("../examples/inngest-quickstart/", import.meta.url));
const DRAFT = "Dear team, the report is ready. Every number in it was checked twice, and nothing was lost on the way.";

let browser;
let project;
let site;

before(async () => {
  project = projectOf(APP);
  site = await startSite(project, { id: "drafts" });
  browser = await launchBrowser();
}, { timeout });
after(async () => {
  await browser?.close();
  await site?.stop();
  project?.stop();
});

const subject = {
  async open(browser, address = site.url, prepare) {
    const tab = await newPage(browser);
    await watch(tab, "#text");
    await prepare?.(tab);
    await tab.goto(address);
    await tab.waitForSelector("button");
    return tab;
  },
  begin: (tab) => tab.click("button"),
  middle: (tab) => tab.waitForFunction(() => document.querySelector("#text")?.textContent.includes("report")),
  async whole(tab) {
    await shows(tab, "#status", "Finished");
    await shows(tab, "#text", DRAFT);
    for (const text of await shownBy(tab)) assert.ok(DRAFT.startsWith(text), text);
    const messages = await tab.$$eval("#messages li", (items) => items.map((item) => item.textContent));
    assert.equal(messages.length, 22, messages.join("\n"));
    assert.deepEqual([messages.at(0), messages.at(-1)], ['[status] {"message":"Writing…"}', '[status] {"message":"Finished","step":"write"}']);
  },
  port: () => site.stepcast.port,
  async crash() {
    site.stepcast = await site.stepcast.crash();
  },
};

test("it type-checks", { timeout }, () => project.check());

async function tried(trial) {
  const tabs = await trial(subject, browser);
  await Promise.all(tabs.map((tab) => tab.close()));
}

// They wait most of the time, and need nothing of each other.
describe("in the middle of a run", { concurrency: 3 }, () => {
  for (const [name, trial] of Object.entries(TRIALS)) test(name, { timeout }, () => tried(trial));
});

for (const [name, trial] of Object.entries(CRASH)) test(name, { timeout }, () => tried(trial));

test("a run goes from running to completed", { timeout }, async () => {
  const tab = await subject.open(browser);
  await subject.begin(tab);
  await shows(tab, "#run", "running");
  await shows(tab, "#run", "completed");
  await subject.whole(tab);
  await shows(tab, "#connection", "closed");
  await tab.screenshot({ path: artifact("inngest-quickstart.png"), fullPage: true });
  await tab.close();
});

test("a page outlives the session of its token", { timeout }, async () => {
  const tab = await subject.open(browser, undefined, (tab) =>
    tab.route("**/api/realtime-token*", async (route) => {
      const runId = new URL(route.request().url()).searchParams.get("runId");
      const words = ["token", `draft:${runId}`, "status", "tokens", "--session", "1s", "--url", site.stepcast.url];
      const { stdout } = await runStepcast(...words);
      await route.fulfill({ body: JSON.stringify({ key: stdout.trim(), apiBaseUrl: site.stepcast.url }) });
    }),
  );
  const sockets = socketsOf(tab);
  await subject.begin(tab);
  const shown = () => sockets[0]?.received.filter((kind) => kind === "authenticated").length;
  await eventually(() => shown() >= 2, () => `two more tokens; there were ${shown()}`);
  await subject.whole(tab);
  await tab.close();
});
