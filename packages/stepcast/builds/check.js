// The packed package in the hands of build tools and test runners. Each has to take it without a warning, by itself. `node check.js jest`
// asks one of them.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL(".", import.meta.url));
const require = createRequire(import.meta.url);
const made = path.join(root, "made");

rmSync(made, { recursive: true, force: true });
mkdirSync(made);
install();
const wanted = process.argv.slice(2);
for (const [name, check] of Object.entries({ esbuild, vite, webpack, next, vitest, jest })) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const began = Date.now();
  const news = await check();
  console.log(`${name.padEnd(8)} ${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s  ${news}`);
}

/** As npm would install it, so that it finds this folder's React and no other. */
function install() {
  execFileSync(process.execPath, [path.join(root, "../scripts/build.js")]);
  const folder = path.join(root, "node_modules/stepcast");
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", made], { cwd: path.join(root, ".."), encoding: "utf8" }));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  execFileSync("tar", ["-xzf", path.join(made, filename), "-C", folder, "--strip-components=1"]);
}

async function esbuild() {
  const { build } = await import("esbuild");
  const options = { entryPoints: [path.join(root, "page.js")], bundle: true, minify: true, format: "esm", outfile: path.join(made, "esbuild.js") };
  const { warnings } = await build({ ...options, external: ["react"], logLevel: "silent" });
  refuse(warnings.map(({ text }) => text));
  return size("esbuild.js");
}

async function vite() {
  const { build } = await import("vite");
  const complaints = [];
  // "use client" means nothing to a bundle for browsers, which it says of every package that has it.
  const onwarn = ({ code, message }) => code === "MODULE_LEVEL_DIRECTIVE" || complaints.push(message);
  const output = { entryFileNames: "vite.js" };
  const rollupOptions = { input: path.join(root, "page.js"), external: ["react"], preserveEntrySignatures: "strict", output, onwarn };
  await build({ root, configFile: false, logLevel: "silent", build: { outDir: made, emptyOutDir: false, rollupOptions } });
  refuse(complaints);
  return size("vite.js");
}

async function webpack() {
  const pack = require("webpack");
  const output = { path: made, filename: "webpack.js", module: true, library: { type: "module" } };
  const options = { mode: "production", entry: path.join(root, "page.js"), experiments: { outputModule: true }, externals: { react: "module react" }, output };
  const stats = await new Promise((resolve, reject) => pack(options, (error, stats) => (error ? reject(error) : resolve(stats))));
  const { errors, warnings } = stats.toJson({ errors: true, warnings: true });
  refuse([...errors, ...warnings].map(({ message }) => message));
  return size("webpack.js");
}

/** Both routers: pages are rendered beforehand, so the hooks run on a server, and a token is minted in a server component's module. */
function next() {
  const app = path.join(root, "app");
  rmSync(path.join(app, ".next"), { recursive: true, force: true });
  run(require.resolve("next/dist/bin/next"), ["build"], { cwd: app });
  const pages = { "server/app/index.html": "app router: idle", "server/pages/old.html": "pages router: idle" };
  for (const [file, text] of Object.entries(pages)) {
    const html = readFileSync(path.join(app, ".next", file), "utf8").replaceAll("<!-- -->", "");
    if (!html.includes(text)) throw new Error(`${file} does not say "${text}"`);
  }
  return "app router and pages router";
}

function vitest() {
  run(path.join(root, "node_modules/vitest/vitest.mjs"), ["run", "--config", "vitest.config.js"]);
  return "a component with the hook";
}

function jest() {
  run(require.resolve("jest/bin/jest"), ["--config", "jest.config.cjs"]);
  return "a component with the hook";
}

function run(program, words, options = {}) {
  try {
    const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", CI: "1" };
    execFileSync(process.execPath, [program, ...words], { cwd: root, encoding: "utf8", stdio: "pipe", env, ...options });
  } catch ({ stdout, stderr }) {
    throw new Error(`${path.basename(program)} ${words.join(" ")} has failed:\n${stdout}\n${stderr}`);
  }
}

function refuse(complaints) {
  if (complaints.length > 0) throw new Error(complaints.join("\n"));
}

function size(file) {
  const script = readFileSync(path.join(made, file));
  if (script.includes("inngest")) throw new Error(`${file} holds more of the package than it needs`);
  return `${gzipSync(script, { level: 9 }).length} B of useRealtime, gzipped, without React`;
}
