// What stands in for WebSockets: requests that wait, and another tab.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { realtime } from "../src/definition/channel.js";
import { staticSchema } from "../src/definition/schema.js";
import { subscribe } from "../src/realtime.js";
import { longPoll } from "../src/transport/long-poll.js";
import type { Meeting } from "../src/transport/meeting.js";
import { shared } from "../src/transport/shared.js";
import { data, opaque, pass, tokenFor, world } from "./support/platform.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const answer = (cursor: string, ...frames: object[]) => Response.json({ cursor, frames });
const outdated = (cursor: string, ...frames: object[]) => Response.json({ cursor, outdated: ["u"], frames });
const never = () => new Promise<Response>(() => {});

/** A page that would misread the topic `u`. */
const schema = staticSchema<unknown>();
const old = {
  channel: realtime.channel({ name: "c", topics: { t: { schema, schemaHash: "11111111" }, u: { schema, schemaHash: "22222222" } } }),
  topics: ["t", "u"],
  token: () => tokenFor("c", ["t", "u"]),
};
const schemasIn = (url: string | undefined) => new URL(url!).searchParams.getAll("schema");

/** Messages of the topic `t` of `c`, as they come. */
async function reading(platform: ReturnType<typeof world>, more: object = {}) {
  const got: unknown[] = [];
  const statuses: string[] = [];
  const errors: string[] = [];
  const subscription = subscribe({
    channel: "c", topics: ["t"], token: () => tokenFor("c", ["t"]), platform, from: "start", ...more,
    onMessage: ({ data }) => void got.push(data),
    onStatus: (status, error) => void statuses.push(error ? `${status}:${error.code}` : status),
    onError: (error: any) => void errors.push(error.code),
  } as Parameters<typeof subscribe>[0]);
  subscription.catch(() => {});
  await pass();
  return { got, statuses, errors, subscription };
}

describe("long poll", () => {
  test("asks for what comes next, after what it has", async () => {
    const at = world();
    const answers = [answer("1-2", data("t", 1, "a"), data("t", 2, "b")), answer("1-3", data("t", 3, "c"))];
    at.answer = () => answers.shift() ?? never();
    const { got, statuses } = await reading(longPoll(at) as never);
    expect(got).toEqual(["a", "b", "c"]);
    expect(at.sockets).toHaveLength(0);
    expect(statuses).toEqual(["connecting", "open"]);
    expect(at.asked.map((url) => new URL(url).searchParams).map((query) => [query.get("from"), query.get("wait")])).toEqual([
      ["start", "0"], ["1-2", "20"], ["1-3", "20"],
    ]);
  });

  test("shows another token in time, and is told when one is old all the same", async () => {
    const at = world();
    const token = vi.fn(() => opaque(`t${token.mock.calls.length}`));
    let waiting: (response: Response) => void = () => {};
    at.answer = (url) => (url.searchParams.get("wait") === "0" ? answer("1-0") : new Promise((resolve) => (waiting = resolve)));
    const { statuses } = await reading(longPoll(at) as never, { token });
    await pass(15_000);
    waiting(answer("1-0"));
    await pass(29_000);
    waiting(answer("1-0"));
    await pass(1_000);
    expect(token).toHaveBeenCalledTimes(2);
    waiting(answer("1-0"));
    await pass();
    expect(new URL(at.asked.at(-1)!).searchParams.get("token")).toBe(opaque("t2"));
    waiting(Response.json({ code: "bad_token", error: "old" }, { status: 401 }));
    await pass();
    expect(statuses.at(-1)).toBe("open");
    expect(new URL(at.asked.at(-1)!).searchParams.get("token")).toBe(opaque("t3"));
  });

  test("comes back after a request that failed, and says why it may not read", async () => {
    const at = world();
    const answers = [answer("1-1", data("t", 1, "a")), () => Promise.reject(new TypeError("network")), answer("1-2", data("t", 2, "b"))];
    at.answer = () => {
      const next = answers.shift() ?? never();
      return typeof next === "function" ? next() : next;
    };
    const { got, statuses } = await reading(longPoll(at) as never);
    await pass(250);
    expect(got).toEqual(["a", "b"]);
    expect(statuses).toEqual(["connecting", "open", "closed:unreachable", "connecting", "open"]);
    const refusing = world();
    refusing.answer = () => Response.json({ code: "forbidden", error: "no" }, { status: 403 });
    expect((await reading(longPoll(refusing) as never)).statuses.at(-1)).toBe("error:forbidden");
  });
});

test("a long poll is told once what it would misread, and gets the rest", async () => {
  const at = world();
  const answers = [outdated("1-1", data("t", 1, "a")), outdated("1-2", data("t", 2, "b"))];
  at.answer = () => answers.shift() ?? never();
  const { got, statuses, errors } = await reading(longPoll(at) as never, old);
  expect(at.asked.map(schemasIn)).toEqual(Array(3).fill(["11111111:t", "22222222:u"]));
  expect([got, errors, statuses]).toEqual([["a", "b"], ["outdated_client"], ["connecting", "open"]]);
});

/** Tabs of one browser. */
function browser() {
  const doors = new Set<{ heard: (data: unknown) => void }>();
  const held = new Map<string, (() => void)[]>();
  /** A tab; `closes` ends it, and everything it has. */
  const tab = () => {
    const at = world();
    let isOver = false;
    const mine: string[] = [];
    const meet = (): Meeting => {
      const listeners = new Set<(event: { data: unknown }) => void>();
      const door = { heard: (data: unknown) => isOver || listeners.forEach((listener) => listener({ data })) };
      doors.add(door);
      return {
        talk: {
          postMessage: (data: unknown) => {
            const copy = structuredClone(data);
            for (const other of doors) if (!isOver && other !== door) queueMicrotask(() => other.heard(copy));
          },
          addEventListener: (_: string, listener: any, options?: any) => {
            listeners.add(listener);
            options?.signal?.addEventListener("abort", () => listeners.delete(listener));
          },
        } as Meeting["talk"],
        locks: {
          async request(name, callback) {
            const queue = held.get(name);
            if (!queue) held.set(name, []);
            else await new Promise<void>((resolve) => queue.push(() => isOver || resolve()));
            mine.push(name);
            const ended = callback();
            if (ended) await ended;
            free(name);
          },
        },
      };
    };
    const closes = () => {
      isOver = true;
      mine.forEach(free);
    };
    return { at, platform: shared(at, meet) as never, closes };
  };
  const free = (name: string) => {
    const next = held.get(name)?.shift();
    if (next) next();
    else held.delete(name);
  };
  return { tab };
}

describe("shared", () => {
  test("one tab has the WebSocket for all, and everyone gets what was before", async () => {
    const { tab } = browser();
    const [one, two] = [tab(), tab()];
    const kept = [data("t", 1, "a")];
    one.at.answer = two.at.answer = () => answer("1-1", ...kept);
    const first = await reading(one.platform);
    expect(one.at.socket.url.searchParams.get("from")).toBe("now");
    one.at.socket.hello("c", ["t"], "1-1");
    await pass();
    expect(first.got).toEqual(["a"]);
    one.at.socket.says(data("t", 2, "b"));
    kept.push(data("t", 2, "b"));
    two.at.answer = () => answer("1-2", ...kept);
    const second = await reading(two.platform);
    expect(second.got).toEqual(["a", "b"]);
    one.at.socket.says(data("t", 3, "c"));
    await pass();
    expect([first.got, second.got]).toEqual([["a", "b", "c"], ["a", "b", "c"]]);
    expect([one.at.sockets.length, two.at.sockets.length]).toEqual([1, 0]);
  });

  test("another tab takes over when it closes, and nothing is lost or comes twice", async () => {
    const { tab } = browser();
    const [one, two] = [tab(), tab()];
    one.at.answer = two.at.answer = () => answer("1-0");
    await reading(one.platform);
    const second = await reading(two.platform);
    one.at.socket.hello("c", ["t"], "1-0");
    await pass();
    one.at.socket.says(data("t", 1, "a"));
    await pass();
    two.at.answer = (url) => (url.searchParams.get("from") === "1-1" ? answer("1-2", data("t", 2, "b")) : answer("1-0"));
    one.closes();
    await pass(250);
    expect(two.at.sockets).toHaveLength(1);
    two.at.socket.hello("c", ["t"], "1-2");
    await pass();
    two.at.socket.says(data("t", 3, "c"));
    await pass();
    expect(second.got).toEqual(["a", "b", "c"]);
  });

  test("frames that come while a tab catches up wait for those before", async () => {
    const { tab } = browser();
    const one = tab();
    let catchUp: (response: Response) => void = () => {};
    one.at.answer = () => new Promise((resolve) => (catchUp = resolve));
    const { got } = await reading(one.platform);
    one.at.socket.hello("c", ["t"], "1-1");
    await pass();
    one.at.socket.says(data("t", 2, "b"));
    await pass();
    expect(got).toEqual([]);
    catchUp(answer("1-1", data("t", 1, "a")));
    await pass();
    expect(got).toEqual(["a", "b"]);
  });

  test("what was asked for before the end is not shown after it", async () => {
    const { tab } = browser();
    const one = tab();
    let catchUp: (response: Response) => void = () => {};
    one.at.answer = () => new Promise((resolve) => (catchUp = resolve));
    const { got, statuses } = await reading(one.platform);
    one.at.socket.hello("c", ["t"], "1-1");
    await pass();
    one.at.answer = never;
    one.at.socket.drops(1006);
    await pass();
    catchUp(answer("1-1", data("t", 1, "a")));
    await pass(100);
    expect(got).toEqual([]);
    expect(statuses).not.toContain("open");
  });

  test("a tab whose token is not taken gets nothing, whatever others read", async () => {
    const { tab } = browser();
    const [one, two] = [tab(), tab()];
    one.at.answer = () => answer("1-0");
    const first = await reading(one.platform);
    one.at.socket.hello("c", ["t"], "1-0");
    two.at.answer = () => Response.json({ code: "forbidden", error: "no" }, { status: 403 });
    const second = await reading(two.platform);
    one.at.socket.says(data("t", 1, "a"));
    await pass();
    expect(first.got).toEqual(["a"]);
    expect([second.got, second.statuses.at(-1)]).toEqual([[], "error:forbidden"]);
  });

  test("an old tab does not misread what a newer one reads for it", async () => {
    const { tab } = browser();
    const [one, two] = [tab(), tab()];
    one.at.answer = () => answer("1-0");
    two.at.answer = () => outdated("1-0");
    const newer = await reading(one.platform, { ...old, channel: "c" });
    one.at.socket.hello("c", ["t", "u"], "1-0");
    await pass();
    const older = await reading(two.platform, old);
    one.at.socket.says(data("u", 1, "a"), data("t", 2, "b"));
    await pass();
    expect([schemasIn(one.at.asked.at(-1)), schemasIn(two.at.asked.at(-1))]).toEqual([[], ["11111111:t", "22222222:u"]]);
    expect([newer.got, newer.errors]).toEqual([["a", "b"], []]);
    expect([older.got, older.errors]).toEqual([["b"], ["outdated_client"]]);
  });

  test("nothing is read for tabs that have gone", async () => {
    const { tab } = browser();
    const [one, two, three] = [tab(), tab(), tab()];
    for (const { at } of [one, two, three]) at.answer = () => answer("1-0");
    const first = await reading(one.platform);
    one.at.socket.hello("c", ["t"], "1-0");
    await pass();
    await reading(two.platform);
    const third = await reading(three.platform);
    (await first.subscription).close();
    await pass();
    expect(one.at.socket.closed).toBeUndefined();
    two.closes();
    await pass();
    expect(one.at.socket.closed).toBeUndefined();
    (await third.subscription).close();
    await pass();
    expect(one.at.socket.closed).toBe(1000);
  });

  test("another token is shown for all, and the other side is asked whether it is there", async () => {
    const { tab } = browser();
    const [one, two] = [tab(), tab()];
    one.at.answer = two.at.answer = () => answer("1-0");
    await reading(one.platform);
    one.at.socket.hello("c", ["t"], "1-0", { session: 100 });
    await pass();
    const { statuses } = await reading(two.platform);
    await pass(75_000);
    expect(one.at.socket.sent.filter(({ kind }) => kind === "auth").length).toBeGreaterThan(0);
    expect(statuses).toEqual(["connecting", "open"]);
    one.at.socket.drops(4401);
    await pass();
    expect(statuses.slice(2)).toEqual(["connecting"]);
    expect(one.at.sockets).toHaveLength(2);
  });

  test("where tabs cannot meet, each reads for itself", () => {
    const at = world();
    expect(shared(at, () => undefined)).toBe(at);
  });
});
