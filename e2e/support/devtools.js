// Chromium by its own protocol, for figures. Playwright hears of every frame of a WebSocket, which costs a page that gets thousands of them as
// much again as the page itself.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

import { executable, FLAGS } from "./browser.js";
import { within } from "./deadline.js";

const ADDRESS = /^DevTools listening on ws:\/\/([^/]+)\//;

const ANSWER_MS = 5_000;

const alive = new Set();
process.on("exit", () => alive.forEach((child) => child.kill("SIGKILL")));

/**
 * A page in a Chromium of its own: `send` says something in Chromium's protocol, `on` hears what Chromium says, `evaluate` gives what an
 * expression or a promise comes to in the page, `close` ends it.
 */
export async function quietPage() {
  const folder = mkdtempSync(path.join(tmpdir(), "stepcast-chromium-"));
  const words = ["--headless", ...FLAGS, "--remote-debugging-port=0", `--user-data-dir=${folder}`, "about:blank"];
  const child = spawn(executable(), words, { stdio: ["ignore", "ignore", "pipe"] });
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  const socket = new WebSocket(await within(pageOf(child), () => "Chromium's page"));
  await once(socket, "open");

  const asked = new Map();
  const listeners = new Map();
  let last = 0;
  socket.addEventListener("message", ({ data }) => {
    const { id, method, params, result, error } = JSON.parse(data);
    if (!id) return listeners.get(method)?.(params);
    const { resolve, reject } = asked.get(id);
    asked.delete(id);
    if (error) reject(new Error(error.message));
    else resolve(result);
  });
  const send = (method, params = {}) =>
    new Promise((resolve, reject) => {
      last += 1;
      asked.set(last, { resolve, reject });
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  return {
    send,
    on: (method, listener) => listeners.set(method, listener),
    async evaluate(expression) {
      const answer = send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
      // A document that is just being left may never answer.
      const { result, exceptionDetails } = await within(answer, () => expression, ANSWER_MS);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    async close() {
      const ended = once(child, "exit");
      await send("Browser.close").catch(() => child.kill("SIGKILL"));
      await ended;
      // Its children may take a moment longer.
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}

async function pageOf(child) {
  for await (const line of createInterface({ input: child.stderr })) {
    const [, host] = ADDRESS.exec(line) ?? [];
    if (!host) continue;
    child.stderr.resume();
    const targets = await (await fetch(`http://${host}/json/list`)).json();
    return targets.find(({ type }) => type === "page").webSocketDebuggerUrl;
  }
  throw new Error("Chromium has ended");
}
