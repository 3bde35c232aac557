// What happens to pages in the middle of a run, each the same for every page.

import assert from "node:assert/strict";

import { eventually } from "./deadline.js";
import { shows } from "./browser.js";
import { socketsOf } from "./shown.js";
import { startWire } from "./wire.js";

/**
 * A subject has `open(browser, address, prepare)`, which gives a tab; `begin(tab)`; `middle(tab)` and `whole(tab)`, which wait until part of the
 * run and all of it is shown, and complain about what must not be; the `port()` of its server; and `crash()`, which kills the server and starts
 * it again.
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

  "connections that are cut": async (subject, browser) => {
    const wire = await startWire(subject.port());
    try {
      const tab = await begun(subject, browser, (tab) => over(wire, subject.port(), tab));
      const sockets = socketsOf(tab);
      wire.cut();
      const witness = await behind(tab, subject, browser);
      await shows(tab, "#connection", "connecting");
      assert.ok(sockets.length > 0, "it has tried to connect");
      wire.mend();
      await subject.whole(tab);
      return [tab, witness];
    } finally {
      await wire.stop();
    }
  },

  // Chromium keeps the connection, and what comes over it waits.
  "no network for a while": async (subject, browser) => {
    const tab = await begun(subject, browser);
    const network = await tab.context().newCDPSession(tab);
    const conditions = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await network.send("Network.emulateNetworkConditions", { offline: true, ...conditions });
    const witness = await behind(tab, subject, browser);
    await network.send("Network.emulateNetworkConditions", { offline: false, ...conditions });
    await subject.whole(tab);
    return [tab, witness];
  },

  "a tab that is hidden for a while": async (subject, browser) => {
    const tab = await begun(subject, browser);
    await turn(tab, "hidden");
    await shows(tab, "#connection", "paused");
    const witness = await behind(tab, subject, browser);
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

async function begun(subject, browser, prepare) {
  const tab = await subject.open(browser, undefined, prepare);
  await subject.begin(tab);
  await subject.middle(tab);
  return tab;
}

/** Another tab that has seen the whole run, of which this one, without its connection, sees nothing more. */
async function behind(tab, subject, browser) {
  const witness = await subject.open(browser, tab.url());
  // What had come before is shown by now, as a page takes much longer to open.
  const before = await contentsOf(tab);
  await subject.whole(witness);
  assert.notEqual(before, await contentsOf(witness), "the run went on");
  assert.equal(await contentsOf(tab), before, "nothing comes meanwhile");
  return witness;
}

/** Has all that a tab reads from the server on this port go over a wire. */
async function over(wire, port, tab) {
  await tab.addInitScript(([port, wire]) => {
    const rewired = (url) => {
      const changed = new URL(url, location);
      if (changed.port === port && changed.pathname.startsWith("/v1/realtime/")) changed.port = wire;
      return changed;
    };
    const { WebSocket, fetch } = globalThis;
    globalThis.WebSocket = class extends WebSocket {
      constructor(url) {
        super(rewired(url));
      }
    };
    globalThis.fetch = (url, options) => fetch(rewired(url), options);
  }, [String(port), String(wire.port)]);
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
