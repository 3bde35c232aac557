// What a page pays: 10,000 messages on one topic with `bufferInterval: 50`, and a reload in the middle of them and after them.
//
// cargo build --release --example react --package stepcast-cli; npm run build in packages/stepcast; then in e2e/:
// STEPCAST_REACT=../target/release/examples/react STEPCAST_BINARY=../target/release/stepcast node --experimental-websocket bench/page.js \
//   [--words 10000 --rounds 3]
//
// The figures go to standard output as JSON, to standard error as a table.

import http from "node:http";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import { close, listen } from "../support/app.js";
import { bundledPage } from "../support/bundle.js";
import { eventually } from "../support/deadline.js";
import { quietPage } from "../support/devtools.js";
import { postJson } from "../support/http.js";
import { startReactExample } from "../support/react-example.js";
import { startDev } from "../support/stepcast.js";

/** What is to hold. */
const TARGETS = { renders_per_s: 25, longest_frame_ms: 50, reload_ms: 200 };
const PATIENCE_MS = 120_000;
/** What is published where npm apps do: each message is kept for itself. */
const TOKEN = "token ";
/** How many of them are under way at a time. */
const AT_ONCE = 8;

const { values } = parseArgs({ options: { words: { type: "string", default: "10000" }, rounds: { type: "string", default: "3" } } });
const WORDS = Number(values.words);

const html = await bundledPage(new URL("../pages/flood.js", import.meta.url), "production");
const rounds = [];
for (let round = 1; round <= Number(values.rounds); round += 1) {
  for (const [keep, start] of [["text", startText], ["log", startLog]]) {
    const measured = { keep, ...(await measure(start)) };
    rounds.push(measured);
    console.error(`round ${round}: ${JSON.stringify(measured)}`);
  }
}
console.log(JSON.stringify({ words: WORDS, targets: TARGETS, rounds }));
console.error(table());
process.exit();

async function measure(start) {
  const source = await start();
  const tab = await quietPage();
  try {
    await tab.send("Page.enable");
    await tab.send("Performance.enable", { timeDomain: "threadTicks" });
    await tab.send("Page.navigate", { url: `${source.page}?${new URLSearchParams({ ...source.reads, bufferInterval: 50 })}` });
    const isOpen = () => tab.evaluate('document.querySelector("#connection")?.textContent === "open"');
    await eventually(isOpen, () => "an open connection");
    const before = await tab.evaluate("performance.now()");
    const stopTracing = await trace(tab);
    const whole = source.begin();
    const half = await lengthOf(tab, source.half);
    const cpu = longestTask(await stopTracing());
    const live = await tab.evaluate("figures");
    const middle = await reloaded(tab, half);
    const length = await whole;
    await lengthOf(tab, length);
    const after = await tab.evaluate("figures");
    const end = await reloaded(tab, length);
    return {
      seconds_to_the_middle: rounded((live.renders.at(-1) - before) / 1000),
      ...flow([{ figures: live, from: before }, { figures: after, from: middle.at }]),
      longest_task_cpu_ms: rounded(cpu),
      reload_in_the_middle_ms: middle.text,
      reload_at_the_end_ms: end.text,
      reload_at_the_end_cpu_ms: end.cpu,
    };
  } finally {
    await tab.close();
    await source.stop();
  }
}

/** Notes what the page's threads do; gives a function that ends it and gives the notes. */
async function trace(tab) {
  const events = [];
  tab.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const complete = new Promise((resolve) => tab.on("Tracing.tracingComplete", resolve));
  await tab.send("Tracing.start", { traceConfig: { includedCategories: ["toplevel", "disabled-by-default-devtools.timeline", "__metadata"] } });
  return async () => {
    await tab.send("Tracing.end");
    await complete;
    return events;
  };
}

/** What was paid while messages came: in these pages, from these moments on. */
function flow(pages) {
  const [renders, frames, tasks] = [[], [], []];
  for (const { figures, from } of pages) {
    const since = (times) => times.filter((time) => time >= from);
    const shown = since(figures.renders);
    const painted = since(figures.frames);
    renders.push(busiestSecond(shown));
    frames.push(...painted.slice(1).map((time, index) => time - painted[index]));
    tasks.push(...figures.longTasks.filter(({ startTime }) => startTime >= from).map(({ duration }) => duration));
  }
  return {
    renders_per_s: Math.max(...renders),
    longest_frame_ms: rounded(Math.max(...frames)),
    frames_over_50_ms: frames.filter((duration) => duration > TARGETS.longest_frame_ms).length,
    frames: frames.length,
    longest_task_ms: rounded(Math.max(0, ...tasks)),
  };
}

function busiestSecond(times) {
  return Math.max(0, ...times.map((start) => times.filter((time) => time >= start && time < start + 1000).length));
}

/** The most time that the page's thread has had of a processor for one task, in milliseconds: what others do on this machine is not in it. */
function longestTask(events) {
  const isMain = ({ name, args }) => name === "thread_name" && args.name === "CrRendererMain";
  const mains = events.filter(isMain).map(({ pid, tid }) => `${pid}:${tid}`);
  const tasks = events.filter(({ name, pid, tid }) => name.endsWith("RunTask") && mains.includes(`${pid}:${tid}`));
  return Math.max(...tasks.map(({ tdur = 0 }) => tdur / 1000));
}

/**
 * Reloads: `text` is how many milliseconds after the navigation's begin so many characters were painted, `at` when that was, `cpu` how many
 * milliseconds of a processor the page's thread took for it.
 */
async function reloaded(tab, length) {
  await tab.send("Page.reload");
  const at = await eventually(
    () => tab.evaluate(`globalThis.figures?.reached.find(([, reached]) => reached >= ${length})?.[0]`),
    () => `${length} characters`,
    PATIENCE_MS,
  );
  return { text: rounded(at), at, cpu: rounded(await cpuOf(tab)) };
}

/** Chromium counts from the navigation on. */
async function cpuOf(tab) {
  const { metrics } = await tab.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "TaskDuration").value * 1000;
}

/** How many characters are shown, once there are at least so many. */
function lengthOf(tab, least) {
  const look = async () => {
    const length = await tab.evaluate("figures.length");
    return length >= least && length;
  };
  return eventually(look, () => `${least} characters`, PATIENCE_MS);
}

// A source has the address of its `page`, what that page `reads`, how many characters are `half` of it, and `begin()`, which gives the number of
// all characters when everything was said.

/** A Rust function that says words as fast as it can; the topic is kept as text. */
async function startText() {
  const folder = mkdtempSync(path.join(tmpdir(), "stepcast-page-"));
  writeFileSync(path.join(folder, "index.html"), html);
  const server = await startReactExample(folder, 0);
  const job = `bench-${process.hrtime.bigint()}`;
  const token = `/api/token/answer/${job}`;
  /** What these tokens' topics have come to, by topic. */
  const contents = async (token) => {
    const key = await (await fetch(new URL(token, server.url))).text();
    const { frames } = await (await fetch(new URL(`v1/realtime/messages?token=${key}&from=start&wait=0`, server.url))).json();
    return Object.fromEntries(frames.filter(({ kind }) => kind === "snapshot").map(({ topic, data }) => [topic, data]));
  };
  return {
    page: server.url,
    reads: { channel: `answer:${job}`, topic: "tokens", token },
    half: WORDS * 2.5,
    async begin() {
      const { run } = await postJson(new URL("api/answer", server.url), { job, words: WORDS, breaks: false });
      const hasEnded = async () => (await contents(`/api/token/run/${run}`)).$run?.at(-1).data.status === "completed";
      await eventually(hasEnded, () => "the end of the answer", PATIENCE_MS);
      const { tokens } = await contents(token);
      return tokens.map(({ data }) => data.token).join("").length;
    },
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Messages from outside; each is kept. The page and its tokens come from another server, as an application's would. */
async function startLog() {
  const server = await startDev({ isDurable: true });
  const channel = `flood:${process.hrtime.bigint()}`;
  const address = (name, query) => new URL(`v1/realtime/${name}?${new URLSearchParams(query)}`, server.url);
  const site = http.createServer(async (request, response) => {
    if (!request.url.startsWith("/token")) return response.writeHead(200, { "content-type": "text/html" }).end(html);
    const { jwt } = await postJson(address("token", {}), [{ channel, name: "tokens", kind: "run" }]);
    response.writeHead(200, { "content-type": "text/plain" }).end(jwt);
  });
  await listen(site, 0);
  return {
    page: `http://127.0.0.1:${site.address().port}/`,
    reads: { channel, topic: "tokens", token: "/token", apiBaseUrl: server.url },
    half: (WORDS * TOKEN.length) / 2,
    async begin() {
      const url = address("publish", { channel, topic: "tokens" });
      let left = WORDS;
      const publish = async () => {
        while (left > 0) {
          left -= 1;
          const { ok, status } = await fetch(url, { method: "POST", body: JSON.stringify({ token: TOKEN }) });
          if (!ok) throw new Error(`a message was answered ${status}`);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, publish));
      return WORDS * TOKEN.length;
    },
    async stop() {
      await close(site);
      await server.stop();
    },
  };
}

function table() {
  const names = Object.keys(rounds[0]);
  return names.map((name) => [name.padEnd(26), ...rounds.map((round) => String(round[name]).padStart(9))].join(" ")).join("\n");
}

function rounded(number) {
  return Math.round(number * 10) / 10;
}
