// An application in its folder, type-checked and bundled with the packages that the npm package is tested with: examples bring none of
// their own, and there is one React.

import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { build } from "esbuild";

const PACKAGE = fileURLToPath(new URL("../../packages/stepcast/", import.meta.url));
const PACKAGES = ["@types", "inngest", "react", "react-dom", "zod"];
const TYPESCRIPT = path.join(PACKAGE, "node_modules/typescript/bin/tsc");

/** What is no source of an application. */
const BUILT = ["node_modules", "dist"];

/**
 * A copy of the application in this folder: `file(name)` is the path of one of its files, `change(name, edit)` rewrites one, `check()`
 * type-checks it, `page()` builds its page and gives the folder with it, `module(name)` bundles a module for Node and imports it, `stop()`
 * removes the copy.
 */
export function projectOf(folder) {
  if (!existsSync(path.join(PACKAGE, "dist/react.js"))) {
    throw new Error(`no build of the package in ${PACKAGE}; build it with: cargo xtask verify npm`);
  }
  const root = mkdtempSync(path.join(tmpdir(), "stepcast-project-"));
  cpSync(folder, root, { recursive: true, filter: (source) => !BUILT.includes(path.relative(folder, source)) });
  linkPackages(path.join(root, "node_modules"));
  const file = (name) => path.join(root, name);
  return {
    file,
    change: (name, edit) => writeFileSync(file(name), edit(readFileSync(file(name), "utf8"))),
    check: () => check(root),
    page: () => page(root),
    module: (name) => module(root, name),
    stop: () => rmSync(root, { recursive: true, force: true }),
  };
}

function linkPackages(folder) {
  mkdirSync(folder);
  for (const name of PACKAGES) symlinkSync(path.join(PACKAGE, "node_modules", name), path.join(folder, name));
  symlinkSync(PACKAGE, path.join(folder, "stepcast"));
}

async function check(root) {
  try {
    await promisify(execFile)(process.execPath, [TYPESCRIPT, "-p", root, "--strict"]);
  } catch (error) {
    throw new Error(`tsc --strict: ${error.stdout || error.message}`, { cause: error });
  }
}

/** What Vite makes of `index.html`, in short: each source that it names is bundled, and named by where it is then. */
async function page(root) {
  const html = readFileSync(path.join(root, "index.html"), "utf8");
  const sources = [...html.matchAll(/(?:src|href)="\/(src\/[^"]+)"/g)].map(([, source]) => source);
  const out = path.join(root, "dist");
  await build({
    entryPoints: sources.map((source) => path.join(root, source)),
    outbase: path.join(root, "src"),
    outdir: path.join(out, "assets"),
    bundle: true,
    format: "esm",
    jsx: "automatic",
    logLevel: "error",
    define: { "process.env.NODE_ENV": '"development"' },
  });
  const built = (source) => `assets/${path.relative("src", source).replace(/\.tsx?$/, ".js")}`;
  const inPlace = sources.reduce((html, source) => html.replace(`/${source}`, `/${built(source)}`), html);
  writeFileSync(path.join(out, "index.html"), inPlace);
  return out;
}

async function module(root, name) {
  const outfile = path.join(root, "dist", `${path.basename(name, path.extname(name))}.mjs`);
  await build({
    entryPoints: [path.join(root, name)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    packages: "external",
    logLevel: "error",
  });
  return import(pathToFileURL(outfile).href);
}
