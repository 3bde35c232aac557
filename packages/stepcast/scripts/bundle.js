// The client for pages without a build, as one module: `bundle/stepcast.js`, and the copy that the server gives at `/stepcast.js`. Both are
// checked in. `--check` says whether they are what the sources make.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const COPIES = [`${root}bundle/stepcast.js`, path.resolve(root, "../../crates/stepcast-http/assets/stepcast.js")];

const PAGE = `
  export { RealtimeError, channel, observe, realtime, staticSchema, subscribe } from "./src/realtime.ts";
  export { longPoll } from "./src/long-poll.ts";
  export { shared } from "./src/shared.ts";
`;

const { outputFiles } = await build({
  stdin: { contents: PAGE, resolveDir: root, loader: "ts" },
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  target: "es2022",
  platform: "browser",
  charset: "utf8",
  banner: { js: "/* stepcast, MIT OR Apache-2.0. Made from packages/stepcast by `npm run bundle`. */" },
});
const made = outputFiles[0].text;

for (const copy of COPIES) {
  if (process.argv.includes("--check")) check(copy);
  else {
    mkdirSync(path.dirname(copy), { recursive: true });
    writeFileSync(copy, made);
  }
}
console.log(`bundle: ${made.length} B`);

function check(copy) {
  let there = "";
  try {
    there = readFileSync(copy, "utf8");
  } catch {
    // Said below.
  }
  if (there !== made) throw new Error(`${path.relative(root, copy)} is not what the sources make; run \`npm run bundle\``);
}
