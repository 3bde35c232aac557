// The quick start of npm inngest's realtime, as its documentation has it: what has to be changed in its page, and that it then runs.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";

import { launchBrowser, newPage } from "./support/browser.js";
import { freshName } from "./support/pipeline.js";
import { projectOf } from "./support/project.js";
import { startSite } from "./support/site.js";

const timeout = 60_000;
const APP = fileURLToPath(new URL("./apps/pipeline/", import.meta.url));

const RUN = [
  '[status] {"message":"Starting..."}',
  '[tokens] {"token":"Hello"}',
  '[tokens] {"token":" "}',
  '[tokens] {"token":"world"}',
  '[status] {"message":"Done!","step":"complete"}',
];

/**
 * What is changed in the page: the import alone, or, where it stays on `inngest/react`, the server's address. Of the token, which the page
 * reads as text, `inngest/react` takes the key alone; stepcast takes all of it, as JSON, and knows the address from it.
 */
const CHANGES = {
  "with `useRealtime` of stepcast": {
    page: (page) => page.replace('"inngest/react"', '"stepcast/react"'),
  },
  "with `useRealtime` of npm inngest": {
    page: (page) => page.replace("channel: ch,", 'channel: ch, apiBaseUrl: new URLSearchParams(location.search).get("server")!,'),
    api: (api) => api.replace("JSON.stringify(token)", "token.key"),
  },
};

let browser;
before(async () => {
  browser = await launchBrowser();
}, { timeout });
after(() => browser?.close());

for (const [name, changes] of Object.entries(CHANGES)) {
  test(name, { timeout }, async (t) => {
    const project = projectOf(APP);
    t.after(() => project.stop());
    project.change("src/server/api.ts", changes.api ?? ((api) => api));
    project.change("src/app/page.tsx", (page) => {
      const changed = changes.page(page);
      assert.equal(changed.split("\n").filter((line) => !page.includes(line)).length, 1, "one line is changed");
      return changed;
    });
    await project.check();

    const site = await startSite(project, { id: "pipeline" });
    t.after(() => site.stop());
    const tab = await newPage(browser);
    const runId = freshName();
    await tab.goto(`${site.url}?server=${site.stepcast.url}#${runId}`);
    await says(tab, "Connection: open | Run: running");
    await fetch(new URL(`api/generate?runId=${runId}`, site.url));
    await says(tab, "Run: completed");
    await says(tab, "Status: Done!");
    assert.deepEqual(await tab.$$eval("li", (items) => items.map((item) => item.textContent)), RUN);
    assert.deepEqual(tab.complaints, []);
    await tab.close();
  });
}

test("a payload that does not fit its topic does not compile", { timeout }, async (t) => {
  const project = projectOf(APP);
  t.after(() => project.stop());
  project.change("src/inngest/functions.ts", (functions) => functions.replace('message: "Starting..."', "message: 1"));
  await assert.rejects(project.check(), /functions\.ts\(9,\d+\): error TS2322: Type 'number' is not assignable to type 'string'/);
});

async function says(tab, text) {
  const isSaid = (text) => document.body.innerText.includes(text);
  try {
    await tab.waitForFunction(isSaid, text, { timeout: 15_000 });
  } catch (cause) {
    const shown = await tab.evaluate(() => document.body.innerText);
    throw new Error(`the page should say "${text}" and says ${JSON.stringify(shown)}; ${tab.complaints.join("; ")}`, { cause });
  }
}
