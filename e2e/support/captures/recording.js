// What was recorded between npm `inngest`, a reference server and browsers; see `fixtures/captures/README.md`.

import { readFileSync, readdirSync } from "node:fs";

const FOLDER = new URL("../../fixtures/captures/", import.meta.url);
const ENDING = ".jsonl";

/** All recordings, the longest first. */
export function names() {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith(ENDING));
  const all = files.map((file) => file.slice(0, -ENDING.length));
  const took = new Map(all.map((name) => [name, recording(name).at(-1).at]));
  return all.sort((one, other) => took.get(other) - took.get(one));
}

/** The entries of a recording. */
export function recording(name) {
  return readFileSync(new URL(`${name}${ENDING}`, FOLDER), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** What the recorded app told the reference server of its functions, and how it answered when it was asked to. */
export function registration() {
  const [, register, registered, answer] = recording("01-registration");
  return { register, registered, answer };
}

/** The bytes of a recorded body. */
export function bytesOf({ body = {} }) {
  if (body.repeat) return JSON.stringify(body.repeat.repeat(body.times));
  return body.json === undefined ? body.text : JSON.stringify(body.json);
}
