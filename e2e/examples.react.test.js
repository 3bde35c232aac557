// The React example: each of its three pages, in a real browser, through all that happens to pages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { artifact, launchBrowser, newPage, shows } from "./support/browser.js";
import { gate } from "./support/gate.js";
import { projectOf } from "./support/project.js";
import { startReactExample } from "./support/react-example.js";
import { shownBy, watch } from "./support/shown.js";
import { CRASH, TRIALS } from "./support/trials.js";

const timeout = 60_000;
const EXAMPLE = fileURLToPath(new URL("../examples/react/", import.meta.url));
/** How long a word of an answer takes; one of a greeting takes three times as long, twenty rows of an import eight times. */
const PACE_MS = 15;

const GREETING =
  "Good to see you, Ada. This page has heard every word at once, in order, from a function that survives its server.";
/** What the model says before its connection breaks, and how it begins and ends when it is asked again. */
const BROKEN = "A durable function is a function that, roughly speaking, keeps a diary.";
const ANSWER = /^A durable function is ordinary code .* given up\. $/;
const SUMMARY = "236 orders taken in, 4 refused, 22,592.84 in all";
const REFUSED = [84, 102, 167, 203];

const PICTURES = ["light 900", "dark 400"];
const SCREENS = [["light", 900], ["dark", 900], ["light", 400], ["dark", 400]];

let browser;
let project;
let server;

before(async () => {
  project = projectOf(EXAMPLE);
  server = await startReactExample(await project.page(), PACE_MS);
  browser = await launchBrowser();
}, { timeout });
after(async () => {
  await browser?.close();
  await server?.stop();
  project?.stop();
});

const PAGES = {
  greeting: {
    middle: (tab) => contains(tab, "#text", "This page has"),
    async whole(tab) {
      await shows(tab, "#status", "Done");
      await shows(tab, "#text", GREETING);
      for (const text of await shownBy(tab)) assert.ok(GREETING.startsWith(text), text);
    },
  },
  answer: {
    // Both attempts begin like this.
    middle: (tab) => contains(tab, "#text", "A durable function"),
    async whole(tab) {
      await contains(tab, "#status", "99 words.");
      const texts = await shownBy(tab);
      const answer = texts.at(-1);
      assert.match(answer, ANSWER);
      for (const text of texts) assert.ok(answer.startsWith(text) || isBroken(text), text);
    },
  },
  import: {
    middle: (tab) => contains(tab, "#status", "of 240 rows"),
    async whole(tab) {
      await shows(tab, "#status", SUMMARY);
      const lines = await tab.$$eval("#refused b", (items) => items.map((item) => Number(item.textContent.slice(5))));
      assert.deepEqual(lines, REFUSED);
    },
  },
};

function subjectOf(kind, crash) {
  return {
    ...PAGES[kind],
    async open(browser, address = `${server.url}#${kind}`, prepare) {
      const tab = await newPage(browser);
      await watch(tab, "#text");
      await prepare?.(tab);
      await tab.goto(address);
      await tab.waitForSelector("form");
      return tab;
    },
    begin: (tab) => tab.click("form button"),
    port: () => server.port,
    crash,
  };
}

test("it type-checks", { timeout }, () => project.check());

for (const [name, trial] of Object.entries({ ...TRIALS, ...CRASH })) {
  test(`each page: ${name}`, { timeout }, async () => {
    const kinds = Object.keys(PAGES);
    const crash = together(kinds.length, async () => {
      server = await server.crash();
    });
    const tried = async (kind) => {
      try {
        const tabs = await trial(subjectOf(kind, crash), browser);
        await Promise.all(tabs.map((tab) => tab.close()));
      } catch (cause) {
        throw new Error(`${kind}: ${cause.message}`, { cause });
      }
    };
    await Promise.all(kinds.map(tried));
  });
}

/** Does it once so many have asked for it. */
function together(count, act) {
  const done = gate();
  return () => {
    count -= 1;
    if (count === 0) done.open(act());
    return done.opened;
  };
}

test("answer: what the model said before it was lost is taken back", { timeout }, async () => {
  const tab = await subjectOf("answer").open(browser);
  await tab.click("form button");
  await PAGES.answer.whole(tab);
  const texts = await shownBy(tab);
  assert.ok(texts.some((text) => text.startsWith(BROKEN)), "the first attempt was seen");
  await contains(tab, "#status", "what it had said was taken back");
  await contains(tab, ".states", "ask-model completed, attempt 2");
  await tab.reload();
  await contains(tab, ".states", "ask-model completed, attempt 2");
  await tab.close();
});

test("a page within the page joins late", { timeout }, async () => {
  const subject = subjectOf("greeting");
  const tab = await subject.open(browser);
  await subject.begin(tab);
  await subject.middle(tab);
  await tab.click("#join");
  await subject.whole(tab);
  const guest = tab.frames().find((frame) => frame.url().includes("?guest"));
  await guest.waitForFunction((text) => document.querySelector("#text")?.textContent === text, GREETING);
  await tab.close();
});

test("nothing is cut off, on any screen", { timeout }, async () => {
  const isCut = () => document.documentElement.scrollWidth > document.documentElement.clientWidth;
  for (const kind of Object.keys(PAGES)) {
    const subject = subjectOf(kind);
    const tab = await subject.open(browser);
    await subject.begin(tab);
    await subject.whole(tab);
    for (const [colorScheme, width] of SCREENS) {
      await tab.setViewportSize({ width, height: 900 });
      await tab.emulateMedia({ colorScheme });
      assert.equal(await tab.evaluate(isCut), false, `${kind}, ${width} pixels`);
      if (PICTURES.includes(`${colorScheme} ${width}`)) await tab.screenshot({ path: artifact(`react-${kind}-${colorScheme}-${width}.png`), fullPage: true });
    }
    await tab.close();
  }
});

function isBroken(text) {
  return BROKEN.startsWith(text) || text.startsWith(BROKEN);
}

async function contains(tab, selector, text) {
  const isThere = ([selector, text]) => document.querySelector(selector)?.textContent.includes(text);
  try {
    await tab.waitForFunction(isThere, [selector, text], { timeout: 20_000 });
  } catch (cause) {
    const shown = await tab.evaluate(() => document.body.innerText);
    throw new Error(`${selector} should contain "${text}"; the page shows ${JSON.stringify(shown)}; ${tab.complaints.join("; ")}`, { cause });
  }
}
