// The React example as a process of its own, on a free port and a new file, with its page as it was built for the tests.

import path from "node:path";

import { built, startServer } from "./server.js";

/** A running example that serves the page in this folder; a word takes it so many milliseconds. */
export function startReactExample(page, paceMs) {
  return startServer({
    name: "react",
    binary: process.env.STEPCAST_REACT ?? built("examples", "react"),
    build: "cargo build --example react",
    words: (port, folder) => ["--port", String(port), "--db", path.join(folder, "react.db"), "--page", page, "--pace-ms", String(paceMs)],
  });
}
