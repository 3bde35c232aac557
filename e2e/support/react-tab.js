// Tabs that show `react-page.js` where the quickstart is, and what a run looks like in them.

import assert from "node:assert/strict";

import { bundledPage } from "./bundle.js";
import { freshJob } from "./quickstart.js";

export const TEXT = "Hello world";

let html;

/** The page comes from the quickstart's own origin, as an application's would; a fresh job's unless the hash names one. */
export async function openPage(tab, quickstart, parameters = {}) {
  html ??= await bundledPage(new URL("./react-page.js", import.meta.url));
  const hash = typeof parameters === "string" ? parameters : `#${new URLSearchParams({ job: freshJob(), ...parameters })}`;
  await serve(tab, new URL("/app", quickstart.url), "text/html", html);
  await tab.goto(`${new URL("/app", quickstart.url)}${hash}`);
  await tab.waitForSelector("#connection");
}

/** Answers the tab itself at this address. */
export async function serve(tab, url, contentType, body) {
  // A page that the test hands in is of no network, and Chromium asks before it may reach this machine.
  await tab.context().grantPermissions(["local-network-access"]);
  await tab.route(url.href, (route) => route.fulfill({ contentType, body }));
}

/** Also that no text was ever shown that is not on the way to the whole one. */
export async function showsCompletedRun(tab) {
  await shows(tab, "#text", TEXT);
  await shows(tab, "#status", "Done!");
  await shows(tab, "#run", "completed");
  await showedOnlyText(tab);
}

export async function showedOnlyText(tab) {
  const texts = await tab.evaluate(() => globalThis.texts);
  for (const text of texts) assert.ok(TEXT.startsWith(text), JSON.stringify(texts));
}

export async function shows(tab, selector, expected) {
  const matches = ([selector, expected]) => document.querySelector(selector)?.textContent === expected;
  try {
    await tab.waitForFunction(matches, [selector, expected], { timeout: 20_000 });
  } catch (cause) {
    const shown = await tab.evaluate(() => document.body.innerText);
    throw new Error(`${selector} should show "${expected}"; the page shows ${JSON.stringify(shown)}; ${tab.complaints?.join("; ")}`, { cause });
  }
}

export function blockWebSockets(tab) {
  return tab.addInitScript(() => {
    globalThis.WebSocket = class {
      constructor() {
        throw new Error("blocked");
      }
    };
  });
}
