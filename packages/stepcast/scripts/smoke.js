// The built package as others meet it: each entry imported by its name, as in server components and in Node, and bundled.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { build as vite } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));

const NAMES = {
  stepcast: "RealtimeError, Stepcast, channel, realtime, staticSchema",
  "stepcast/realtime": "RealtimeError, channel, getSubscriptionToken, observe, prefetch, realtime, staticSchema, subscribe",
  "stepcast/react": "RealtimeError, RealtimeProvider, getClientSubscriptionToken, useRealtime, useRun",
  "stepcast/inngest": "PublishMiddleware",
  "stepcast/long-poll": "longPoll",
  "stepcast/shared": "shared",
};

for (const [entry, names] of Object.entries(NAMES)) expect(entry, exportsOf(entry), names);
expect("stepcast/react in server components", exportsOf("stepcast/react", "--conditions=react-server"), NAMES["stepcast/react"]);

const PAGE = 'import { useRealtime } from "stepcast/react"; import { realtime } from "stepcast"; console.log(useRealtime, realtime)';

const { warnings } = await build({
  stdin: { contents: PAGE, resolveDir: root },
  bundle: true,
  write: false,
  format: "esm",
  external: ["react"],
});
expect("warnings of esbuild", JSON.stringify(warnings), "[]");

const complaints = [];
// "use client" means nothing to a bundle for browsers, which Vite says of every package that has it.
const WANTED = "MODULE_LEVEL_DIRECTIVE";
const page = `${root}page.js`;
await vite({
  root,
  configFile: false,
  logLevel: "silent",
  plugins: [{ name: "page", resolveId: (id) => (id === page ? id : undefined), load: (id) => (id === page ? PAGE : undefined) }],
  build: { write: false, rollupOptions: { input: page, onwarn: ({ code, message }) => code === WANTED || complaints.push(message) } },
});
expect("warnings of Vite", JSON.stringify(complaints), "[]");

function exportsOf(entry, ...flags) {
  const script = `console.log(Object.keys(await import("${entry}")).sort().join(", "))`;
  return execFileSync(process.execPath, [...flags, "--input-type=module", "--eval", script], { cwd: root, encoding: "utf8" }).trim();
}

function expect(what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: found ${found}; wanted ${wanted}`);
  console.log(`${what}: ${found}`);
}
