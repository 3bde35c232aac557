// Builds `dist`: modules by esbuild, declarations by tsc.

import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const entries = ["index", "realtime", "react", "react-server", "inngest"].map((name) => `${root}src/${name}.ts`);

rmSync(`${root}dist`, { recursive: true, force: true });
await build({
  entryPoints: entries.filter(existsSync),
  outdir: `${root}dist`,
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  external: ["react", "inngest"],
  sourcemap: true,
  chunkNames: "shared/[hash]",
});
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", root], { stdio: "inherit" });
