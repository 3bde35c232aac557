// Headless Chromium, the one that the system has.

import { accessSync, constants, mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

/** What Debian, Ubuntu and Google call it. `cargo xtask verify tools` looks for the same names. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

// Chromium refuses to sandbox itself for root. The rest keeps it from calling home, which on a machine without
// a way out costs a failed look-up at every start.
export const FLAGS = [
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launchBrowser() {
  return chromium.launch({ executablePath: executable(), headless: true, args: FLAGS });
}

/** A page that remembers in `page.complaints` what went wrong in it. */
export async function newPage(browser) {
  const page = await browser.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") page.complaints.push(message.text());
  });
  return page;
}

/** Waits until an element's text is exactly this. */
export async function shows(page, selector, expected) {
  const matches = ([selector, expected]) => document.querySelector(selector)?.textContent.trim() === expected;
  try {
    await page.waitForFunction(matches, [selector, expected], { timeout: 15_000 });
  } catch (error) {
    const shown = JSON.stringify(await textOf(page, selector));
    throw new Error(`${selector} should show "${expected}" and shows ${shown}; ${page.complaints.join("; ")}`, {
      cause: error,
    });
  }
}

export function textOf(page, selector) {
  return page.evaluate((selector) => document.querySelector(selector)?.textContent.trim(), selector);
}

/** Where pictures for people go. */
export function artifact(name) {
  const folder = fileURLToPath(new URL("../artifacts/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  return path.join(folder, name);
}

export function executable() {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const files = NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  const found = files.find(isExecutable);
  if (!found) throw new Error(`no Chromium on PATH (${NAMES.join(", ")}); run: cargo xtask verify tools`);
  return found;
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
