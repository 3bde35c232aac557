// What npm would publish: all that the package names, the licences, and nothing that is only for work on it.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { exports } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));

const [{ files, size }] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: root, encoding: "utf8" }));
const packed = files.map(({ path }) => path);

const named = JSON.stringify(exports).match(/(?<="\.\/)[^"]+\.(js|d\.ts|json)(?=")/g);
const wanted = [...new Set([...named, "LICENSE-APACHE", "LICENSE-MIT", "README.md", "bundle/stepcast.js"])];
const missing = wanted.filter((path) => !packed.includes(path));
// Maps of the built files lead to their sources.
const others = packed.filter((path) => !/^(bundle|dist|src)\/|^(LICENSE-APACHE|LICENSE-MIT|README\.md|package\.json)$/.test(path));
if (missing.length > 0) throw new Error(`the package lacks ${missing.join(", ")}`);
if (others.length > 0) throw new Error(`the package should not hold ${others.join(", ")}`);
for (const [name, words] of [["LICENSE-MIT", "Permission is hereby granted"], ["LICENSE-APACHE", "Apache License"]]) {
  if (!readFileSync(`${root}${name}`, "utf8").includes(words)) throw new Error(`${name} does not hold its licence`);
}
console.log(`tarball: ${packed.length} files, ${size} B`);
