// The quickstart example as a process of its own, on a free port and a new file.

import path from "node:path";

import { built, runToEnd, startServer } from "./server.js";

const PROGRAM = {
  name: "quickstart",
  binary: process.env.STEPCAST_QUICKSTART ?? built("examples", "quickstart"),
  build: "cargo build --example quickstart",
  words: (port, folder) => ["--port", String(port), ...database(folder)],
};

/** A running quickstart. */
export function startQuickstart() {
  return startServer(PROGRAM);
}

/** Runs the quickstart to its end with these arguments and a new file. */
export function runQuickstart(...words) {
  return runToEnd(PROGRAM, (folder) => [...words, ...database(folder)]);
}

/** A name that no other test uses, for channels are named by their job. */
export function freshJob() {
  return `job-${process.pid}-${process.hrtime.bigint()}`;
}

function database(folder) {
  return ["--db", path.join(folder, "quickstart.db")];
}
