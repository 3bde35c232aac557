// Every check of the package, one after the other; `npm run check`.

import { execFileSync, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const began = Date.now();

const bin = (name) => `${root}node_modules/.bin/${name}`;
const tsc = (version) => `${root}node_modules/${version}/bin/tsc`;

step("build", process.execPath, "scripts/build.js");
// The two older compilers take most of the time; there are two cores.
const types = ["typescript-5.4", "typescript-5"].map((version) => later(`types, ${version}`, process.execPath, tsc(version), "-p", "test/types"));
step("types, typescript", process.execPath, tsc("typescript"), "-p", "test/types");
// What `stepcast gen ts` writes; TypeScript 5.4 has no way yet to forbid what cannot be erased.
const erasable = ["--erasableSyntaxOnly"];
for (const [version, ...words] of [["typescript-5.4"], ["typescript-5", ...erasable], ["typescript", ...erasable]]) {
  step(`generated types, ${version}`, process.execPath, tsc(version), "-p", "test/generated", ...words);
}
await Promise.all(types);
step("tests", bin("vitest"), "run");
step("publint", bin("publint"), "--strict");
step("attw", bin("attw"), "--pack", ".", "--profile", "esm-only");
step("smoke", process.execPath, "scripts/smoke.js");
step("tarball", process.execPath, "scripts/tarball.js");
step("bundle", process.execPath, "scripts/bundle.js", "--check");
step("size", process.execPath, "scripts/size.js");
console.log(`\ncheck: passed in ${Math.round((Date.now() - began) / 1000)} s`);

function step(name, program, ...words) {
  console.log(`\n-- ${name}`);
  execFileSync(program, words, { cwd: root, stdio: "inherit" });
}

function later(name, program, ...words) {
  const child = spawn(program, words, { cwd: root, stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}`))));
  });
}
