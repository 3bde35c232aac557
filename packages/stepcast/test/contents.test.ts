import { describe, expect, test } from "vitest";

import { createContents } from "../src/contents/contents.js";
import { textOf } from "../src/contents/texts.js";
import { compare } from "../src/protocol/cursor.js";
import type { ServerFrame } from "../src/protocol/frame.js";
import { createSession } from "../src/protocol/session.js";
import { data, piece } from "./support/platform.js";

/** A channel `c` with topics `t` and `u`, read from its beginning. */
function channel({ limit = 100 as number | null, topics = {} as Record<string, { text?: string }> } = {}) {
  const session = createSession("c", ["t", "u", "$run"], "start");
  session.begin(["t", "u", "$run"], "0-0");
  const contents = createContents(topics, limit);
  const say = (...frames: object[]) =>
    frames.flatMap((frame) => {
      const change = session.on(frame as ServerFrame & { kind: "data" });
      return change ? contents.apply(change) : [];
    });
  const shown = () => ({ messages: contents.commit(), run: contents.run, gap: contents.gap });
  const all = () => shown().messages.all.map(({ data }) => data);
  return { session, contents, say, shown, all };
}

const by = (run: string, attempt: number, step = "s") => ({ run_id: run, step_id: step, attempt });
const snapshot = (topic: string, id: number, ...pieces: object[]) => ({ kind: "snapshot", channel: "c", topic, id: `1-${id}`, data: pieces });
const rollback = (topic: string, id: number, after: number, origin: object, pieces?: object[]) => ({
  kind: "rollback", channel: "c", topic, id: `1-${id}`, after: `1-${after}`, ...origin, ...(pieces ? { data: pieces } : {}),
});
const gap = (topic: string, keep_to: string) => ({ kind: "gap", channel: "c", topic, keep_to, reason: "crashed" });

test("cursors are compared as numbers of any size", () => {
  const sorted = ["0-0", "1-2", "1-10", "2-1", "10-1", "18446744073709551614-0", "18446744073709551615-0"];
  for (let at = 1; at < sorted.length; at++) {
    expect(compare(sorted[at - 1] as string, sorted[at] as string)).toBeLessThan(0);
    expect(compare(sorted[at] as string, sorted[at - 1] as string)).toBeGreaterThan(0);
  }
  expect(compare("3-3", "3-3")).toBe(0);
});

describe("messages", () => {
  test("come once, in order of their offsets", () => {
    const { say, all, shown } = channel();
    say(snapshot("t", 4, piece(4, "latest")), data("u", 1, 1), data("u", 2, 2), data("u", 2, 2), data("t", 4, "latest"), data("u", 5, 5));
    expect(all()).toEqual([1, 2, "latest", 5]);
    expect(shown().messages.last?.data).toBe(5);
    expect(shown().messages.byTopic["t"]?.isSnapshot).toBe(true);
  });

  test("of a snapshot are all there, with one id as well", () => {
    const { say, all } = channel();
    say(snapshot("t", 3, piece(3, "a"), piece(3, "b"), piece(3, "c")), data("t", 4, "d"));
    expect(all()).toEqual(["a", "b", "c", "d"]);
    say(snapshot("t", 5, piece(5, "e"), piece(5, "f")));
    expect(all()).toEqual(["e", "f"]);
  });

  test("are as many as the limit, and the text is all the same whole", () => {
    const { say, all, shown } = channel({ limit: 3 });
    for (let id = 1; id <= 500; id++) {
      say(data("t", id, String(id % 10)));
      if (id % 7 === 0) shown();
    }
    expect(all()).toEqual(["8", "9", "0"]);
    expect(shown().messages.text["t"]).toHaveLength(500);
    const none = channel({ limit: 0 });
    none.say(data("t", 1, 1));
    expect(none.all()).toEqual([]);
    expect(none.shown().messages.last?.data).toBe(1);
  });

  test("without a limit are bounded in bytes", () => {
    const { say, shown } = channel({ limit: null });
    for (let id = 1; id <= 40; id++) say(data("t", id, "x".repeat(1024 * 1024)));
    shown();
    expect(shown().messages.truncated).toBe(true);
    expect(shown().messages.all.length).toBeLessThan(17);
    expect(shown().messages.text["t"]?.length).toBeLessThanOrEqual(4 * 1024 * 1024);
  });

  test("that were shown stay as they were, and what is unchanged keeps its identity", () => {
    const { say, shown } = channel();
    say(data("t", 1, { s: "a" }));
    const before = shown();
    expect(shown().messages).toBe(before.messages);
    say(data("t", 2, { s: "b" }));
    const after = shown();
    expect(before.messages.all.map(({ id }) => id)).toEqual(["1-1"]);
    expect(after.messages.all.map(({ id }) => id)).toEqual(["1-1", "1-2"]);
    expect(after.messages.all).toBe(after.messages.all);
    expect(after.messages.delta.map(({ id }) => id)).toEqual(["1-2"]);
    say({ kind: "run", data: { status: "completed", result: 7 } });
    expect(shown().messages).toBe(after.messages);
    expect(shown().run).toMatchObject({ status: "completed", result: 7 });
  });

  test("10,000 are folded without a copy for each", () => {
    const { say, shown } = channel({ limit: null });
    const began = performance.now();
    for (let id = 1; id <= 10_000; id++) {
      say(data("t", id, { token: "x" }));
      shown();
    }
    expect(shown().messages.all).toHaveLength(10_000);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe("a failed attempt", () => {
  test("takes its messages back, and only those", () => {
    const { say, all, shown } = channel();
    say(data("t", 1, "before", by("r", 1)), data("t", 2, "void", by("r", 1)), data("t", 3, "other", by("q", 1)), data("u", 4, "kept", by("r", 1)));
    const shownBefore = shown();
    expect(say(rollback("t", 5, 1, by("r", 1)))).toEqual(["1-2"]);
    expect(all()).toEqual(["before", "other", "kept"]);
    expect(shown().messages.delta).toEqual([]);
    expect(shown().messages.byTopic["t"]?.data).toBe("other");
    expect(shownBefore.messages.all).toHaveLength(4);
    say(rollback("t", 6, 0, by("q", 1)), rollback("t", 7, 0, by("r", 1)));
    expect(shown().messages.byTopic["t"]).toBeUndefined();
    expect(shown().messages.last?.data).toBe("kept");
  });

  test("is replaced by the next one: text is never doubled", () => {
    const { say, shown } = channel();
    say(data("t", 1, { token: "So: " }));
    say(data("t", 2, { token: "Hel" }, by("r", 1)), data("t", 3, { token: "lo" }, by("r", 1)));
    expect(shown().messages.text["t"]).toBe("So: Hello");
    say(rollback("t", 4, 0, by("r", 1), [piece(1, { token: "So: " })]));
    expect(shown().messages.text["t"]).toBe("So: ");
    expect(shown().messages.all.map(({ data }) => data.token)).toEqual(["So: "]);
    say(data("t", 5, { token: "Hello!" }, by("r", 2)));
    expect(shown().messages.text["t"]).toBe("So: Hello!");
  });

  test("of a topic that does not fold takes its text back to where it began", () => {
    const { say, shown } = channel();
    say(data("t", 1, "a", by("r", 1)), data("t", 2, "b", by("r", 1)), data("t", 3, "c", by("r", 1)), rollback("t", 4, 1, by("r", 1)));
    expect(shown().messages.text["t"]).toBe("a");
  });

  test("is gone before it was shown", () => {
    const { say, shown } = channel();
    say(data("t", 1, "void", by("r", 1)), rollback("t", 2, 0, by("r", 1)));
    expect(shown().messages).toMatchObject({ all: [], delta: [], last: null, byTopic: {} });
  });
});

describe("text", () => {
  test("is that of the newest run", () => {
    const { say, shown } = channel();
    say(data("t", 1, "one", by("r1", 1)), data("t", 2, "two", by("r2", 1)), data("t", 3, "!", by("r2", 1)));
    expect(shown().messages.text["t"]).toBe("two!");
  });

  test("is replaced by a snapshot, and goes on from there", () => {
    const { say, shown } = channel();
    say(data("t", 1, "Hel", by("r", 1)));
    say(snapshot("t", 3, piece(1, "Hello", by("r", 1)), piece(3, " wor", by("r", 2))), data("t", 2, "lo", by("r", 1)), data("t", 4, "ld", by("r", 2)));
    expect(shown().messages.text["t"]).toBe("Hello world");
    say(snapshot("t", 5));
    expect(shown().messages.text["t"] ?? "").toBe("");
  });

  test("is in the field that is named, or in the only one that has some", () => {
    expect(textOf({ a: "x", b: "y" }, "b")).toBe("y");
    expect(textOf({ a: "x", n: 1 })).toBe("x");
    expect(textOf({ a: "x", b: "y" })).toBeUndefined();
    for (const value of [null, 1, { n: 1 }, { a: 1 }]) expect(textOf(value, "a")).toBeUndefined();
  });
});

describe("a gap", () => {
  test("takes away what does not count any more, and what is left comes again", () => {
    const { say, all, shown, contents } = channel();
    say(data("t", 1, "a"), data("t", 2, "b"), data("u", 3, "c"), gap("t", "1-1"));
    expect(all()).toEqual(["a", "c"]);
    expect(shown().gap).toEqual({ topic: "t", reason: "crashed", from: "1-3", to: null, missing: null });
    say(data("t", 2, "b"));
    expect(all()).toEqual(["a", "b", "c"]);
    expect(shown().gap?.to).toBe("1-2");
    expect(shown().messages.text["t"]).toBe("ab");
    contents.clear();
    expect(shown()).toMatchObject({ gap: null, messages: { all: [], text: {} } });
  });
});

test("news of a run are in frames of their own or on `$run`", () => {
  const { say, shown } = channel();
  say(snapshot("$run", 1, piece(1, { status: "queued" })));
  expect(shown().run).toMatchObject({ status: "running", news: { status: "queued" } });
  say(data("$run", 2, { status: "retrying", attempt: 2 }));
  expect(shown().run).toMatchObject({ status: "running", news: { status: "retrying", attempt: 2 } });
  say({ kind: "run", channel: "c", data: { state: "SUCCEEDED", output: 1 } }, { kind: "run", channel: "other", data: { status: "failed" } });
  expect(shown().run).toMatchObject({ status: "completed", result: 1 });
  say({ kind: "run", data: "nonsense" }, { kind: "run", data: { status: "odd" } });
  expect(shown().run.status).toBe("completed");
  expect(shown().messages.all).toEqual([]);
});
