// What was recorded between npm `inngest`, a reference server and browsers, played against `stepcast dev` and compared field by field.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { differences, disorder } from "./support/captures/compare.js";
import { RULES } from "./support/captures/documented.js";
import { Ids } from "./support/captures/ids.js";
import { names } from "./support/captures/recording.js";
import { replay } from "./support/captures/replay.js";

/** The longest recording shows two intervals between signs of life, of 15 s each. */
const timeout = 90_000;

describe("recorded exchanges", { timeout, concurrency: 6 }, () => {
  const [played, applied] = [new Set(), new Set()];
  for (const name of names()) {
    test(name, { timeout }, async () => {
      const found = await replay(name);
      played.add(name);
      found.forEach(({ rule }) => applied.add(rule));
      assert.deepEqual(found.filter(({ rule }) => !rule), []);
    });
  }
  after(() => {
    if (played.size < names().length) return;
    const idle = RULES.filter((rule) => !applied.has(rule)).map(({ why }) => why);
    assert.deepEqual(idle, [], "rules that explain nothing any more");
  });
});

describe("comparing", () => {
  const [one, other, mine] = ["01M84YSQC423JBQG2X418RVYAV", "01M84YSQ48J579DF9TKMFY79AA", "01M8J6H2Z4E3JY9AT74GJ9SD9Y"];
  const paths = (recorded, ours, said = []) =>
    differences(recorded, ours, { ids: new Ids(), said: new Set(said) }).map(({ path }) => path);

  test("an id stands for one other wherever it is", () => {
    assert.deepEqual(paths([one, `/runs/${one}/x`], [mine, `/runs/${mine}/x`]), []);
    assert.deepEqual(paths([one, other], [mine, mine]), [".1"]);
    assert.deepEqual(paths([one, { run: one }], [mine, { run: other }]), [".1.run"]);
    assert.deepEqual(paths({ run_id: one, job_id: "a" }, { run_id: mine, job_id: mine }), []);
  });

  test("what a client has said is not changed", () => {
    const [then, now] = ["2026-11-23T19:40:48.013025226Z", "2026-11-28T23:07:10.592Z"];
    assert.deepEqual(paths([then, 1795462847624], [now, 1795907230592]), []);
    assert.deepEqual(paths([then, 1795462847624], [now, 1795907230592], [then, 1795462847624]), [".0", ".1"]);
  });

  test("what is missing, more, or of another kind differs", () => {
    assert.deepEqual(paths({ a: 1, b: [1] }, { b: [1, 2], c: null }), [".a", ".b.1", ".c"]);
    assert.deepEqual(paths([null, {}, [], ""], [{}, [], "", 0]), [".0", ".1", ".2", ".3"]);
    assert.deepEqual(disorder({ b: [{ d: 1, c: 2 }], a: 1 }), ["", ".b.0"]);
  });
});
