// The page for people that `stepcast` serves at `/`, in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Inngest, NonRetriableError } from "inngest";

import { startApp } from "./support/app.js";
import { artifact, launchBrowser, newPage, shows } from "./support/browser.js";
import { gate } from "./support/gate.js";
import { runsAt } from "./support/runs.js";
import { SILENT, functionsOf, runsOf, startServed } from "./support/served.js";
import { runStepcast, startProduction } from "./support/stepcast.js";

const timeout = 90_000;
const HOSTILE = '<img src=x onerror="document.title=1">';
const KEY = `signkey-prod-${"0123456789abcdef".repeat(4)}`;

let browser, served;
/** What the slow function waits for. */
const slow = gate();
let isMended = false;

before(async () => {
  [browser, served] = await Promise.all([launchBrowser(), startServed({ functions })]);
}, { timeout });
after(async () => {
  slow.open();
  await browser?.close();
  await served?.stop();
});

function functions(inngest) {
  const create = (id, handler, options) => inngest.createFunction({ id, retries: 0, triggers: [{ event: `app/${id}` }], ...options }, handler);
  return [
    create("slow", async ({ step }) => {
      await step.run("first", () => 1);
      return step.run("wait", () => slow.opened.then(() => ({ answer: 42 })));
    }),
    create("flaky", ({ step }) => {
      if (!isMended) throw new NonRetriableError(`no way ${HOSTILE}`);
      return step.run("work", () => "mended");
    }),
    create("sleepy", ({ step }) => step.sleep("night", "1h")),
    create("eager", ({ step }) => step.run(HOSTILE, () => 1), { name: HOSTILE, throttle: { limit: 1, period: "1s" } }),
  ];
}

const send = async (name, data = {}) => (await served.inngest.send({ name: `app/${name}`, data })).ids[0];
const started = (event) => served.runs.until(event, () => true, "a run");

/** A tab with the page, which is never loaded again: what was left in it stays. */
async function opened(hash = "", options = {}) {
  const context = await browser.newContext(options);
  const tab = await newPage(context);
  await tab.goto(`${served.stepcast.url}${hash}`);
  await tab.evaluate(() => (globalThis.isTheSame = true));
  tab.isDone = async () => {
    assert.ok(await tab.evaluate(() => globalThis.isTheSame), "the page was not loaded again");
    assert.deepEqual(tab.complaints, []);
    await context.close();
  };
  return tab;
}

const row = (run, part) => `tr[data-run="${run}"] ${part}`;

test("a run is seen from its beginning to its end, with its steps", { timeout }, async () => {
  const tab = await opened();
  const { run_id: run } = await started(await send("slow"));
  await shows(tab, row(run, ".badge"), "running");
  await shows(tab, row(run, "a"), "e2e-slow");
  await shows(tab, row(run, "button"), "Cancel");
  const details = await opened(`#/runs/${run}`);
  await shows(details, 'tr[data-step="first"] .badge', "completed");
  await shows(details, ".title .badge", "running");
  slow.open();
  await shows(tab, row(run, ".badge"), "completed");
  await shows(tab, row(run, "button"), "Rerun");
  await shows(details, ".title .badge", "completed");
  await shows(details, 'tr[data-step="wait"] .badge', "completed");
  await details.waitForFunction(() => document.body.innerText.includes('"answer": 42'));
  await tab.isDone();
  await details.isDone();
});

test("a failed run shows its error, and is run again", { timeout }, async () => {
  const [failed] = await runsOf(served, { name: "app/flaky", data: { order: 7 } });
  const tab = await opened();
  await shows(tab, row(failed.run_id, ".badge"), "failed");
  await shows(tab, row(failed.run_id, ".error"), `NonRetriableError: no way ${HOSTILE}`);
  await tab.locator("label", { hasText: "failed" }).click();
  await tab.waitForFunction(() => [...document.querySelectorAll("tbody .badge")].every((badge) => badge.textContent === "failed"));
  await tab.screenshot({ path: artifact("operator-page.png") });
  await tab.locator(row(failed.run_id, "a")).click();
  await shows(tab, ".trouble code", "function_failed");
  isMended = true;
  await tab.locator(".title button").click();
  await tab.waitForFunction((before) => !location.hash.includes(before), failed.run_id);
  await shows(tab, ".title .badge", "completed");
  await shows(tab, 'tr[data-step="work"] .badge', "completed");
  await tab.waitForFunction((id) => document.querySelector(".others").innerText.includes(id), failed.run_id);
  const again = (await served.runs.of(failed.event_id)).find((run) => run.run_id !== failed.run_id);
  assert.deepEqual([again.status, again.output], ["Completed", "mended"]);
  await tab.isDone();
});

test("a run is cancelled when its user is sure", { timeout }, async () => {
  const { run_id: run } = await started(await send("sleepy"));
  const tab = await opened();
  let isSure = false;
  tab.on("dialog", (dialog) => (isSure ? dialog.accept() : dialog.dismiss()));
  await tab.locator(row(run, "button")).click();
  assert.notEqual((await served.runs.one(run)).status, "Cancelled");
  isSure = true;
  await tab.locator(row(run, "button")).click();
  await shows(tab, row(run, ".badge"), "cancelled");
  await shows(tab, "#said", `Cancelled run ${run}.`);
  await tab.isDone();
});

test("apps and functions are shown as they are, whatever their names, also on a telephone", { timeout }, async () => {
  const { run_id: run } = await started(await send("eager"));
  const tab = await opened("", { viewport: { width: 400, height: 800 }, colorScheme: "dark" });
  await shows(tab, row(run, ".mark"), "without throttle");
  const fits = () => tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  assert.ok(await fits());
  await tab.locator(row(run, "a")).click();
  await tab.locator("td strong", { hasText: HOSTILE }).waitFor();
  assert.ok(await fits());
  await tab.getByRole("link", { name: "Functions" }).click();
  await tab.locator("td strong", { hasText: HOSTILE }).waitFor();
  await shows(tab, "td .mark", "without throttle");
  assert.ok(await fits());
  await tab.getByRole("link", { name: "Apps" }).click();
  await shows(tab, "li .badge", "up");
  await shows(tab, "li h2", "e2e");
  await shows(tab, "li code", served.app.url);
  assert.ok(await fits());
  assert.equal(await tab.evaluate(() => document.querySelectorAll("main img").length), 0);
  // A terminal says the same.
  const [all, one] = await Promise.all([[], [run]].map((id) => runStepcast("runs", ...id, "--url", served.stepcast.url)));
  assert.match(all.stdout, new RegExp(`${run} .* e2e-eager {2}\\(without throttle\\)`));
  assert.match(one.stdout, /^without {3}throttle, which the function asks for/m);
  await tab.isDone();
});

test("in production it asks for the signing key, and keeps it in its tab", { timeout }, async (t) => {
  const app = await startApp();
  const stepcast = await startProduction({ apps: [app.url], options: ["--signing-key", KEY, "--event-key", "e", "--behind-tls"] });
  t.after(() => Promise.all([stepcast.stop(), app.stop()]));
  const inngest = new Inngest({ id: "e2e", isDev: false, baseUrl: stepcast.url, signingKey: KEY, eventKey: "e", logger: SILENT });
  app.serve({ client: inngest, functions: [inngest.createFunction({ id: "f", triggers: [{ event: "app/f" }] }, () => 1)] });
  await functionsOf(stepcast.url, "e2e", undefined, KEY);
  const { ids } = await inngest.send({ name: "app/f", data: {} });
  const [run] = await runsAt(stepcast.url, KEY).ended(ids[0]);

  const context = await browser.newContext();
  t.after(() => context.close());
  const tab = await newPage(context);
  await tab.goto(stepcast.url);
  const give = async (key) => {
    await tab.getByLabel("The server's signing key").fill(key);
    await tab.getByRole("button", { name: "Open" }).click();
  };
  await give("wrong");
  await shows(tab, "#why", "The server does not know this key.");
  await give(KEY);
  await shows(tab, row(run.run_id, ".badge"), "completed");
  await tab.reload();
  await shows(tab, row(run.run_id, ".badge"), "completed");
  assert.ok(!JSON.stringify(await context.storageState()).includes(KEY), "nothing outlives the tab");
  const other = await newPage(context);
  await other.goto(stepcast.url);
  await other.getByLabel("The server's signing key").waitFor();
  await tab.getByRole("button", { name: "Forget key" }).click();
  await tab.getByLabel("The server's signing key").waitFor();
  assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
});
