// A server as a process of its own, on a free port and in a new folder. It ends with the test at the latest.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { within } from "./deadline.js";

const GREETING = /^listening on (http:\/\/127\.0\.0\.1:(\d+))\/?$/;
const PATIENCE_WITH_SHUTDOWN_MS = 10_000;
/** More of what a server says is not kept. */
const LOG_CHARS = 1 << 20;

const alive = new Set();

// `exit` is also reached after a failed test. A signal does not reach it by itself.
process.on("exit", () => alive.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/**
 * A running server: `url`, `port`, `pid`, `log()`, `stop()`, which answers with the exit code of the ended process, `die()`, which kills
 * it as it is, `nextLife()`, which is the next one in the same folder on the same port when this one has ended, and `crash()`, which is
 * both.
 *
 * A program has a `name`, a `binary`, what `build`s it, and the `words` and the environment of a life on a port in a folder.
 */
export async function startServer(program, { port: asked = 0, folder = temporaryFolder() } = {}) {
  const child = launch(program, program.words(asked, folder), folder);
  const log = logOf(child);
  try {
    const [, address, port] = await greeting(program, child, log);
    const nextLife = async () => {
      await exitCode(child);
      return startServer(program, { port: Number(port), folder });
    };
    const die = async () => {
      child.kill("SIGKILL");
      await exitCode(child);
    };
    return {
      url: `${address}/`,
      port: Number(port),
      pid: child.pid,
      log,
      stop: () => stop(program, child, folder),
      die,
      nextLife,
      crash: () => (child.kill("SIGKILL"), nextLife()),
    };
  } catch (error) {
    // Why it did not start says more than why it did not stop.
    await stop(program, child, folder).catch(() => {});
    throw error;
  }
}

/** Runs a program to its end with these words and a new folder. */
export async function runToEnd(program, wordsIn) {
  const folder = temporaryFolder();
  const words = wordsIn(folder);
  const child = launch(program, words, folder);
  const [stdout, stderr] = [[], []];
  child.stdout.setEncoding("utf8").on("data", (text) => stdout.push(text));
  child.stderr.setEncoding("utf8").on("data", (text) => stderr.push(text));
  try {
    const [code] = await within(once(child, "close"), () => `\`${program.name} ${words.join(" ")}\` to end`);
    return { stdout: stdout.join(""), stderr: stderr.join(""), code };
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where cargo puts what it builds. */
export function built(...names) {
  const repository = fileURLToPath(new URL("../..", import.meta.url));
  const target = path.resolve(repository, process.env.CARGO_TARGET_DIR ?? "target");
  return path.join(target, "debug", ...names);
}

function launch({ name, binary, build, environment = process.env }, words, folder) {
  if (!existsSync(binary)) throw new Error(`no ${name} at ${binary}; build it with: ${build}`);
  const child = spawn(path.resolve(binary), words, { stdio: ["ignore", "pipe", "pipe"], env: environment, cwd: folder });
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  return child;
}

function logOf(child) {
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (more) => (text = (text + more).slice(-LOG_CHARS)));
  return () => text;
}

async function greeting({ name }, child, log) {
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "close").then(([code]) => {
    throw new Error(`${name} ended with ${code} before it listened: ${log()}`);
  });
  // Nobody waits for the end any more once it listens.
  ended.catch(() => {});
  const firstLine = once(lines, "line");
  const [line] = await within(Promise.race([firstLine, ended]), () => `${name}'s first line; its log: ${log()}`);
  const match = GREETING.exec(line);
  if (!match) throw new Error(`${name}'s first line does not tell its address: ${line}`);
  return match;
}

async function stop({ name }, child, folder) {
  const ended = exitCode(child);
  child.kill("SIGTERM");
  try {
    return await within(ended, () => `${name} to end after SIGTERM`, PATIENCE_WITH_SHUTDOWN_MS);
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
