// Builds `dist`: modules by esbuild, declarations by tsc.

import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = readdirSync(`${root}src`, { recursive: true }).filter((name) => name.endsWith(".ts"));

rmSync(`${root}dist`, { recursive: true, force: true });
// Module for module: an application's bundler takes what it needs, and stacks name the files that people know.
await build({
  entryPoints: sources.map((name) => `${root}src/${name}`),
  outbase: `${root}src`,
  outdir: `${root}dist`,
  format: "esm",
  target: "es2022",
  sourcemap: true,
});
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", root], { stdio: "inherit" });
