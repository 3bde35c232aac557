// What a page pays, minified and gzipped, with React outside. Past a limit it is an error.

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

const PAGES = [
  // The goal for the hook is 8,000 B; until it is reached, it does not grow.
  { name: "useRealtime", code: 'export { useRealtime } from "stepcast/react"', limit: 10_400 },
  { name: "useRealtime + realtime, staticSchema", code: 'export { useRealtime } from "stepcast/react"; export { realtime, staticSchema } from "stepcast"', limit: 10_700 },
  { name: "realtime, staticSchema", code: 'export { realtime, staticSchema } from "stepcast"', limit: 600 },
  { name: "subscribe", code: 'export { subscribe } from "stepcast/realtime"', limit: 8_000 },
  { name: "inngest/react, for comparison", code: 'export { useRealtime } from "inngest/react"' },
];

let isTooLarge = false;
for (const { name, code, limit } of PAGES) {
  const bundle = await build({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "browser",
    external: ["react"],
    logLevel: "error",
  });
  const size = gzipSync(bundle.outputFiles[0].contents, { level: 9 }).length;
  const isOver = limit !== undefined && size > limit;
  isTooLarge ||= isOver;
  console.log(`${String(size).padStart(7)} B  ${name}${limit ? `, at most ${limit} B${isOver ? ": TOO LARGE" : ""}` : ""}`);
}
if (isTooLarge) process.exit(1);
