// Starts the quickstart example as a process of its own, on a free port and a new file.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

import { within } from "./deadline.js";

const GREETING = /^listening on (http:\/\/127\.0\.0\.1:(\d+)\/)$/;
const PATIENCE_WITH_SHUTDOWN_MS = 10_000;

const alive = new Set();

// `exit` is also reached after a failed test. A signal does not reach it by itself.
process.on("exit", () => alive.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/**
 * A running quickstart: `url`, `port`, `stop()`, which answers with the exit code of the ended process, and `crash()`, which kills it
 * as it is and gives the next life of the same file on the same port.
 */
export async function startQuickstart({ port: asked = 0, folder = temporaryFolder() } = {}) {
  const child = launch(["--port", String(asked), "--db", path.join(folder, "quickstart.db")]);
  const complaints = text(child.stderr);
  try {
    const [, url, port] = await greeting(child, complaints);
    const crash = async () => {
      const ended = exitCode(child);
      child.kill("SIGKILL");
      await ended;
      return startQuickstart({ port: Number(port), folder });
    };
    return { url, port: Number(port), stop: () => stop(child, folder), crash };
  } catch (error) {
    // Why it did not start says more than why it did not stop.
    await stop(child, folder).catch(() => {});
    throw error;
  }
}

/** Runs the quickstart to its end with these arguments and a new file. */
export async function runQuickstart(...words) {
  const folder = temporaryFolder();
  const child = launch([...words, "--db", path.join(folder, "quickstart.db")]);
  try {
    const ended = Promise.all([text(child.stdout), text(child.stderr), exitCode(child)]);
    const [stdout, stderr, code] = await within(ended, () => `\`quickstart ${words.join(" ")}\` to end`);
    return { stdout, stderr, code };
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A name that no other test uses, for channels are named by their job. */
export function freshJob() {
  return `job-${process.pid}-${process.hrtime.bigint()}`;
}

function launch(words) {
  const binary = quickstartBinary();
  if (!existsSync(binary)) {
    throw new Error(`no quickstart at ${binary}; build it with: cargo build --example quickstart`);
  }
  const child = spawn(binary, words, { stdio: ["ignore", "pipe", "pipe"] });
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  return child;
}

function quickstartBinary() {
  const repository = fileURLToPath(new URL("../..", import.meta.url));
  const target = path.resolve(repository, process.env.CARGO_TARGET_DIR ?? "target");
  return process.env.STEPCAST_QUICKSTART ?? path.join(target, "debug", "examples", "quickstart");
}

async function greeting(child, complaints) {
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit").then(async ([code]) => {
    throw new Error(`the quickstart ended with ${code} before it listened: ${await complaints}`);
  });
  const firstLine = once(lines, "line");
  const [line] = await within(Promise.race([firstLine, ended]), () => "the quickstart's first line");
  const match = GREETING.exec(line);
  if (!match) throw new Error(`the quickstart's first line does not tell its address: ${line}`);
  return match;
}

async function stop(child, folder) {
  const ended = exitCode(child);
  child.kill("SIGTERM");
  try {
    return await within(ended, () => "the quickstart to end after SIGTERM", PATIENCE_WITH_SHUTDOWN_MS);
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

async function exitCode(child) {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const [code] = await once(child, "exit");
  return code;
}

function temporaryFolder() {
  return mkdtempSync(path.join(tmpdir(), "stepcast-e2e-"));
}
