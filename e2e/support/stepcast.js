// The binary `stepcast` as a process of its own, on a free port and in a new folder.

import path from "node:path";

import { built, runToEnd, startServer } from "./server.js";

/** Retries and polling are not what most tests wait for. */
const QUICK = ["--retry-interval", "100ms", "--poll-interval", "1s"];

const BINARY = {
  name: "stepcast",
  binary: process.env.STEPCAST_BINARY ?? built("stepcast"),
  build: "cargo build --package stepcast-cli",
};

/** A running `stepcast dev` that serves these apps; with `isDurable` it keeps a file. */
export function startDev({ apps = [], options = [], isDurable = false } = {}) {
  return startServer(program("dev", { apps, options: ["--no-discovery", ...options], isDurable }));
}

/** A running `stepcast dev` that looks for apps on this machine, with these variables. */
export function startLooking(variables) {
  const dev = program("dev", { apps: [], options: [], isDurable: false });
  return startServer({ ...dev, environment: { ...dev.environment, ...variables } });
}

/** A running `stepcast start`, which always keeps a file. */
export function startProduction({ apps = [], options = [] } = {}) {
  return startServer(program("start", { apps, options, isDurable: true }));
}

/** Runs `stepcast` to its end with these arguments. */
export function runStepcast(...words) {
  return runToEnd({ ...BINARY, environment: environment() }, () => words);
}

function program(command, { apps, options, isDurable }) {
  const words = (port, folder) => [
    command,
    ...["--port", String(port)],
    ...(isDurable ? ["--db", path.join(folder, "stepcast.db")] : []),
    ...apps.flatMap((url) => ["-u", url]),
    ...(options.includes("--retry-interval") ? [] : QUICK),
    ...options,
  ];
  return { ...BINARY, words, environment: environment() };
}

/** Ours, but for what would be read as a setting. */
function environment() {
  const isSetting = ([name]) => /^(STEPCAST|INNGEST)_/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter((entry) => !isSetting(entry)));
}
