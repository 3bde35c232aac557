// What a page pays, gzipped, with React outside: built by Vite as it is, and by esbuild, whose short names come out longer. Past a limit it is
// an error.

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build as esbuild } from "esbuild";
import { build as vite } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));

const PAGES = [
  { name: "useRealtime", code: 'export { useRealtime } from "stepcast/react"', limit: 8_000, esbuild: 8_400 },
  { name: "realtime, staticSchema", code: 'export { realtime, staticSchema } from "stepcast"', limit: 600, esbuild: 600 },
  { name: "subscribe", code: 'export { subscribe } from "stepcast/realtime"', limit: 6_500, esbuild: 6_800 },
  { name: "inngest/react, for comparison", code: 'export { useRealtime } from "inngest/react"' },
];

let isTooLarge = false;
for (const { name, code, limit, esbuild } of PAGES) {
  report(name, "Vite", await byVite(code), limit);
  report(name, "esbuild", await byEsbuild(code), esbuild);
}
if (isTooLarge) process.exit(1);

async function byVite(code) {
  const page = `${root}page.js`;
  const { output } = await vite({
    root,
    configFile: false,
    logLevel: "silent",
    plugins: [{ name: "page", resolveId: (id) => (id === page ? id : undefined), load: (id) => (id === page ? code : undefined) }],
    build: { write: false, rollupOptions: { input: page, external: ["react"], preserveEntrySignatures: "strict" } },
  });
  return output[0].code;
}

async function byEsbuild(code) {
  const { outputFiles } = await esbuild({
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
  return outputFiles[0].contents;
}

function report(name, by, code, limit) {
  const size = gzipSync(code, { level: 9 }).length;
  const isOver = limit !== undefined && size > limit;
  isTooLarge ||= isOver;
  console.log(`${String(size).padStart(7)} B  ${name}, by ${by}${limit ? `, at most ${limit} B${isOver ? ": TOO LARGE" : ""}` : ""}`);
}
