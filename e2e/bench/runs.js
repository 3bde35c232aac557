// How fast runs of an npm inngest app are: `stepcast dev` with a file, beside a server that keeps nothing.
//
// cargo build --release --package stepcast-cli, then in e2e/:
// STEPCAST_BINARY=../target/release/stepcast npm run --silent bench [-- --runs 300 --flight 50 --flights 1000]
//
// The figures go to standard output as JSON, to standard error as a table.

import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Inngest } from "inngest";

import { gate } from "../support/gate.js";
import { pipelineChannel } from "../support/pipeline.js";
import { SILENT, functionsOf } from "../support/served.js";
import { startDev } from "../support/stepcast.js";

const WARM_UP = 50;
/** What the kernel counts a process's time in. */
const TICK_MS = 10;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "300" },
    flight: { type: "string", default: "50" },
    flights: { type: "string", default: "1000" },
  },
});
const [RUNS, FLIGHT, FLIGHTS] = [values.runs, values.flight, values.flights].map(Number);

const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

// Each server twice and in turn, so that what the machine does meanwhile hits both.
const figures = {};
for (const round of [1, 2]) {
  for (const [name, start] of [["instant", startInstant], ["stepcast", startStepcast]]) {
    const measured = await measure(start);
    figures[name] = round === 1 ? [measured] : [...figures[name], measured];
    console.error(`round ${round}, ${name}: ${JSON.stringify(measured)}`);
  }
}
const best = Object.fromEntries(Object.entries(figures).map(([name, rounds]) => [name, merged(rounds)]));
const compared = {
  p50_ms_more: rounded(best.stepcast.p50_ms - best.instant.p50_ms),
  throughput_ratio: rounded(best.stepcast.runs_per_s / best.instant.runs_per_s),
};
console.log(JSON.stringify({ runs: RUNS, flight: FLIGHT, flights: FLIGHTS, rounds: figures, best, compared }));
console.error(table(best));
console.error(compared);
process.exit();

async function measure(start) {
  const app = await child("app.js");
  const server = await start(app.first);
  app.process.send(server.url);
  await once(app.process, "message");
  await server.ready();

  const inngest = new Inngest({ id: "bench", isDev: true, baseUrl: server.url, logger: SILENT });
  for (let run = 0; run < WARM_UP; run += 1) await timed(inngest, `warm-${run}`);

  const [cpu, appCpu] = [cpuMs(server.pid), cpuMs(app.process.pid)];
  const times = [];
  for (let run = 0; run < RUNS; run += 1) times.push(await timed(inngest, `one-${run}`));
  const [cpuAfter, appCpuAfter] = [cpuMs(server.pid), cpuMs(app.process.pid)];

  const seconds = await inFlight(inngest);
  const cpuOfMany = cpuMs(server.pid) - cpuAfter;

  await server.stop();
  app.process.disconnect();
  times.sort((a, b) => a - b);
  return {
    p50_ms: rounded(times[times.length >> 1]),
    p99_ms: rounded(times[Math.floor(times.length * 0.99)]),
    server_cpu_ms_per_run: rounded((cpuAfter - cpu) / RUNS),
    app_cpu_ms_per_run: rounded((appCpuAfter - appCpu) / RUNS),
    runs_per_s: rounded(FLIGHTS / seconds),
    server_cpu_ms_per_run_in_flight: rounded(cpuOfMany / FLIGHTS),
  };
}

/** From the event to its run's last message in the callback, in milliseconds. */
async function timed(inngest, name) {
  const said = gate();
  const channel = pipelineChannel({ runId: name });
  const subscription = await inngest.realtime.subscribe({ channel, topics: ["status"], onMessage: said.open });
  const began = performance.now();
  await inngest.send({ name: "app/generate", data: { channel: name, runId: name, name } });
  await said.opened;
  const took = performance.now() - began;
  subscription.unsubscribe();
  return took;
}

/** How many seconds so many runs take, with so many at once. They say their ends on one channel. */
async function inFlight(inngest) {
  const waiting = new Map();
  const onMessage = ({ data }) => waiting.get(data.message)?.();
  const channel = pipelineChannel({ runId: "shared" });
  const subscription = await inngest.realtime.subscribe({ channel, topics: ["status"], onMessage });
  let next = 0;
  const lane = async () => {
    while (next < FLIGHTS) {
      const name = `many-${(next += 1)}`;
      const said = new Promise((resolve) => waiting.set(name, resolve));
      await inngest.send({ name: "app/generate", data: { channel: "shared", name } });
      await said;
      waiting.delete(name);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: FLIGHT }, lane));
  subscription.unsubscribe();
  return (performance.now() - began) / 1000;
}

async function startInstant(appUrl) {
  const { process: server, first: port } = await child("instant.js");
  const url = `http://127.0.0.1:${port}/`;
  const ready = () => fetch(new URL("register", url), { method: "POST", body: JSON.stringify({ url: appUrl }) });
  return { url, pid: server.pid, ready, stop: () => server.disconnect() };
}

async function startStepcast(appUrl) {
  const server = await startDev({ apps: [appUrl], isDurable: true });
  return { url: server.url, pid: server.pid, ready: () => functionsOf(server.url, "bench"), stop: server.stop };
}

async function child(file) {
  const process = fork(fileURLToPath(new URL(file, import.meta.url)), { execArgv: ["--experimental-websocket"] });
  children.add(process);
  const [first] = await once(process, "message");
  return { process, first };
}

/** What a process has used so far, in user and kernel mode. */
function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** The better one of two rounds in each figure. */
function merged(rounds) {
  const better = (name) => (name === "runs_per_s" ? Math.max : Math.min)(...rounds.map((round) => round[name]));
  return Object.fromEntries(Object.keys(rounds[0]).map((name) => [name, better(name)]));
}

function table(servers) {
  const names = Object.keys(servers);
  const row = (cells) => cells.map((cell, index) => (index ? String(cell).padStart(10) : cell.padEnd(34))).join(" ");
  const rows = Object.keys(servers[names[0]]).map((figure) => row([figure, ...names.map((name) => servers[name][figure])]));
  return [row(["", ...names]), ...rows].join("\n");
}

function rounded(number) {
  return Math.round(number * 100) / 100;
}
