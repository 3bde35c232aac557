// What happens to pages in the middle of a run, each the same for every page.

import assert from "node:assert/strict";

import { eventually } from "./deadline.js";
import { shows } from "./browser.js";
import { socketsOf } from "./shown.js";

/**
 * A subject has `open(browser, address, prepare, wire)`, which gives a tab, over a wire when there is one; `begin(tab)`; `middle(tab)` and
 * `whole(tab)`, which wait until part of the run and all of it is shown, and complain about what must not be; `address(tab)`, where it is
 * shown without the wire; the `port()` of its server; and `crash()`, which kills the server and starts it again.
 */
export const TRIALS = {
  "a whole run, in one connection": async (subject, browser) => {
    const tab = await subject.open(browser);
    const sockets = socketsOf(tab);
    await subject.begin(tab);
    await subject.whole(tab);
    assert.equal(sockets.length, 1);
    assert.deepEqual(tab.complaints, []);
    return [tab];
  },

  "a reload": async (subject, browser) => {
    const tab = await begun(subject, browser);
    await tab.reload();
    await subject.whole(tab);
    assert.deepEqual(tab.complaints, []);
    return [tab];
  },

  "pages that join, in the middle and at the end": async (subject, browser) => {
    const tab = await begun(subject, browser);
    const second = await subject.open(browser, tab.url());
    await Promise.all([subject.whole(tab), subject.whole(second)]);
    const third = await subject.open(browser, tab.url());
    await subject.whole(third);
    return [tab, second, third];
  },

  // Chromium keeps the connection, and what comes over it waits.
  "no network for a while": async (subject, browser) => {
    const tab = await begun(subject, browser);
    const network = await tab.context().newCDPSession(tab);
    const conditions = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await network.send("Network.emulateNetworkConditions", { offline: true, ...conditions });
    const missed = await contentsOf(tab);
    const witness = await subject.open(browser, tab.url());
    await subject.whole(witness);
    assert.equal(await contentsOf(tab), missed, "nothing comes meanwhile");
    await network.send("Network.emulateNetworkConditions", { offline: false, ...conditions });
    await subject.whole(tab);
    return [tab, witness];
  },

  "a tab that is hidden for a while": async (subject, browser) => {
    const tab = await begun(subject, browser);
    await turn(tab, "hidden");
    await shows(tab, "#connection", "paused");
    const missed = await contentsOf(tab);
    const witness = await subject.open(browser, tab.url());
    await subject.whole(witness);
    assert.equal(await contentsOf(tab), missed, "nothing comes meanwhile");
    await turn(tab, "visible");
    await subject.whole(tab);
    return [tab, witness];
  },

  "a clock that is an hour later": async (subject, browser) => {
    const tab = await subject.open(browser, undefined, (tab) => tab.clock.install());
    const sockets = socketsOf(tab);
    await subject.begin(tab);
    await subject.middle(tab);
    // The session of the first token would be over.
    await tab.clock.fastForward("01:00:00");
    const isRefreshed = () => sockets[0].sent.includes("auth") && sockets[0].received.includes("authenticated");
    await eventually(isRefreshed, () => `another token; the connection has seen ${JSON.stringify(sockets)}`);
    await subject.whole(tab);
    assert.equal(sockets.length, 1);
    return [tab];
  },
};

/** What pages share: their server. */
export const CRASH = {
  "a server that is killed and comes back": async (subject, browser) => {
    const tab = await begun(subject, browser);
    await subject.crash();
    await subject.whole(tab);
    return [tab];
  },
};

async function begun(subject, browser, wire) {
  const tab = await subject.open(browser, undefined, undefined, wire);
  await subject.begin(tab);
  await subject.middle(tab);
  return tab;
}

/** What of the run is shown. */
function contentsOf(tab) {
  return tab.$$eval("#text, #status", (elements) => elements.map((element) => element.textContent).join("\n"));
}

/** As if another tab were shown, or this one again. */
async function turn(tab, state) {
  await tab.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, value: state });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
}
