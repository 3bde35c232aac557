import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createPool, type Pool } from "../src/connection/pool.js";
import type { TokenInput } from "../src/connection/token.js";
import { realtime } from "../src/definition/channel.js";
import { staticSchema } from "../src/definition/schema.js";
import { createReading, type ReadingOptions, USUAL } from "../src/subscription/reading.js";
import { data, opaque, pass, tokenFor, world } from "./support/platform.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const TOKEN = tokenFor("c", ["t"]);

function reader(at = world(), options: Partial<Omit<ReadingOptions, "token">> & { token?: TokenInput } = {}, pool = createPool(at)) {
  const statuses: string[] = [];
  const got: unknown[] = [];
  const replaying: boolean[] = [];
  const { token = () => TOKEN, ...rest } = options;
  const reading = createReading(pool, { ...USUAL, channel: "c", topics: ["t"], ...rest, token: () => token }, {
    onChange: (change) => got.push(change.kind === "message" ? change.message.data : change.kind),
    onStatus: (status, error) => statuses.push(error ? `${status}:${error.code}` : status),
    onError: (error) => statuses.push(error.code),
    onReplaying: () => replaying.push(reading.isReplaying),
  });
  reading.start();
  return { at, pool, reading, statuses, got, replaying };
}

const refusing = (status: number, code: string) => () => Response.json({ code, error: "no", data: null, status }, { status });
const allowing = () => Response.json({ cursor: "1-0", frames: [] });

describe("a connection", () => {
  test("comes back after what is held, after a longer wait each time", async () => {
    const { at, got, statuses } = reader();
    await pass();
    at.socket.hello("c", ["t"]);
    at.socket.says(data("t", 3, "a"));
    at.socket.drops();
    await pass(249);
    expect(at.sockets).toHaveLength(1);
    await pass(1);
    expect(at.socket.url.searchParams.get("from")).toBe("1-3");
    at.socket.drops();
    await pass(499);
    expect(at.sockets).toHaveLength(2);
    await pass(1);
    expect(at.sockets).toHaveLength(3);
    at.socket.hello("c", ["t"], "1-3");
    at.socket.says(data("t", 3, "a"), data("t", 4, "b"));
    expect(got).toEqual(["a", "b"]);
    expect(statuses).toEqual(["connecting", "open", "closed:unreachable", "connecting", "error:unreachable", "connecting", "open"]);
  });

  test("stays away for as long as a server that closes asks for", async () => {
    const { at } = reader();
    await pass();
    at.socket.hello("c", ["t"]);
    at.socket.says({ kind: "closing", reconnect_ms: 2310 });
    at.socket.drops(1001);
    at.wake();
    await pass(2309);
    expect(at.sockets).toHaveLength(1);
    await pass(1);
    expect(at.sockets).toHaveLength(2);
  });

  test("that is silent is asked, and given up when it does not answer", async () => {
    const { at } = reader();
    await pass();
    at.socket.hello("c", ["t"]);
    await pass(90_000);
    expect(at.sockets).toHaveLength(1);
    expect(at.socket.sent.filter(({ kind }) => kind === "ping")).toHaveLength(3);
    at.socket.isThere = false;
    await pass(50_000);
    expect(at.sockets).toHaveLength(2);
    expect(at.sockets[0]?.closed).toBe(true);
  });

  test("is looked after at once when the network comes back", async () => {
    const { at } = reader();
    await pass();
    at.socket.hello("c", ["t"]);
    at.socket.isThere = false;
    at.wake();
    expect(at.socket.sent.at(-1)).toEqual({ kind: "ping" });
    await pass(5_250);
    expect(at.sockets).toHaveLength(2);
    at.socket.drops();
    await pass();
    at.wake();
    await pass();
    expect(at.sockets).toHaveLength(3);
  });

  test("whose server says nothing is given up", async () => {
    const { at, statuses } = reader();
    await pass(20_000);
    expect(statuses.at(-1)).toBe("error:unreachable");
  });

  test("that must not come back ends", async () => {
    const { at, statuses, reading } = reader(world(), { reconnect: false });
    await pass();
    at.socket.hello("c", ["t"]);
    at.socket.drops();
    await pass(60_000);
    expect(at.sockets).toHaveLength(1);
    expect(statuses.at(-1)).toBe("closed:unreachable");
    expect(reading.isRunning()).toBe(false);
  });

  test("ends for good when the protocol is broken", async () => {
    for (const breakIt of [
      (at: ReturnType<typeof world>) => at.socket.drops(1009),
      (at: ReturnType<typeof world>) => at.socket.onmessage?.({ data: "<html>" }),
      (at: ReturnType<typeof world>) => at.socket.hello("c", ["t"], "1-0", { protocol: 2 }),
    ]) {
      const { at, statuses } = reader();
      await pass();
      at.socket.hello("c", ["t"]);
      breakIt(at);
      await pass(60_000);
      expect(statuses.at(-1)).toBe("error:protocol");
      expect(at.sockets).toHaveLength(1);
    }
  });

  test("is shared by channels; a channel that is read in two ways has two", async () => {
    const one = reader();
    await pass();
    const other = reader(one.at, { channel: "d", topics: ["x"], token: tokenFor("d", ["x", "y"]), from: "last:5" }, one.pool);
    const twin = reader(one.at, { from: "start" }, one.pool);
    await pass();
    expect(one.at.sockets.map(({ url }) => url.searchParams.get("from"))).toEqual([null, "start"]);
    const [socket] = one.at.sockets;
    socket?.hello("c", ["t", "u"]);
    expect(socket?.sent).toEqual([
      { kind: "sub", ref: 1, token: tokenFor("d", ["x", "y"]), from: "last:5", topics: ["x"], schemas: {} },
      { kind: "unsub", channel: "c", topics: ["u"] },
    ]);
    socket?.says({ kind: "subscribed", ref: 1, channel: "d", topics: ["x"], cursor: "1-7", session: 60 });
    socket?.says(data("x", 8, "for d", { channel: "d" }), data("t", 9, "for c"));
    expect([one.got, other.got, twin.got]).toEqual([["for c"], ["for d"], []]);
    one.reading.stop();
    expect(socket?.sent.at(-1)).toEqual({ kind: "unsub", channel: "c" });
    other.reading.stop();
    expect(socket?.closed).toBe(1000);
  });

  test("that one reader cannot open is opened by the next", async () => {
    const one = reader(world(), { token: () => opaque("bad") });
    one.at.answer = refusing(403, "forbidden");
    await pass();
    const other = reader(one.at, { channel: "d", token: tokenFor("d", ["t"]) }, one.pool);
    await pass();
    one.at.socket.drops();
    await pass();
    expect(one.statuses.at(-1)).toBe("error:forbidden");
    expect(one.at.socket.url.searchParams.get("token")).toBe(tokenFor("d", ["t"]));
    one.at.socket.hello("d", ["t"]);
    expect(other.statuses.at(-1)).toBe("open");
  });
});

describe("a token", () => {
  test("is refreshed in place when three quarters of its session are over", async () => {
    const token = vi.fn(() => TOKEN);
    const { at } = reader(world(), { token });
    await pass();
    at.socket.hello("c", ["t"], "1-0", { session: 100 });
    await pass(74_999);
    expect(token).toHaveBeenCalledTimes(1);
    await pass(1);
    expect(at.socket.sent.at(-1)).toEqual({ kind: "auth", ref: 1, token: TOKEN });
    at.socket.says({ kind: "authenticated", ref: 1, channel: "c", session: 200 });
    await pass(149_999);
    expect(token).toHaveBeenCalledTimes(2);
    await pass(1);
    expect(token).toHaveBeenCalledTimes(3);
  });

  test("that is old is replaced at once, and told when the next one is no better", async () => {
    const token = vi.fn(() => opaque("old"));
    const { at, statuses } = reader(world(), { token });
    at.answer = refusing(401, "bad_token");
    await pass();
    at.socket.drops();
    await pass();
    expect(token).toHaveBeenCalledTimes(2);
    expect(statuses).toEqual(["connecting", "connecting"]);
    at.socket.drops();
    await pass();
    expect(statuses.at(-1)).toBe("error:bad_token");
    await pass(250);
    expect(token).toHaveBeenCalledTimes(3);
  });

  test("that cannot be replaced and is not taken is the end", async () => {
    const { at, statuses } = reader(world(), { token: opaque("old") });
    at.answer = refusing(401, "bad_token");
    await pass();
    at.socket.drops();
    await pass(60_000);
    expect(statuses.at(-1)).toBe("error:bad_token");
    expect(at.sockets).toHaveLength(1);
  });

  test("shown at the end of a session begins another one without a wait", async () => {
    const { at } = reader();
    await pass();
    at.socket.hello("c", ["t"]);
    at.socket.drops(4401, "1-0");
    await pass();
    expect(at.sockets).toHaveLength(2);
  });

  test.each([
    ["<!doctype html><title>Login</title>", "invalid_token"],
    ["", "invalid_token"],
    ["not allowed", "invalid_token"],
    ["{broken", "invalid_token"],
    [{ token: "x" }, "invalid_token"],
  ])("%j is none, and is asked for again", async (value, code) => {
    const token = vi.fn(() => value as string);
    const { statuses } = reader(world(), { token });
    await pass();
    expect(statuses.at(-1)).toBe(`error:${code}`);
    await pass(250);
    expect(token).toHaveBeenCalledTimes(2);
  });

  test("function that throws is called again", async () => {
    const { at, statuses } = reader(world(), {
      token: vi.fn().mockRejectedValueOnce(new Error("offline")).mockResolvedValue(JSON.stringify({ key: TOKEN, apiBaseUrl: "https://x.test/path" })),
    });
    await pass();
    expect(statuses.at(-1)).toBe("error:token_failed");
    await pass(250);
    expect(at.socket.url.origin).toBe("wss://x.test");
  });

  test("for another channel or without a topic is the end", async () => {
    for (const [token, code] of [
      [tokenFor("other", ["t"]), "wrong_channel"],
      [tokenFor("c", ["u"]), "forbidden"],
    ] as const) {
      const { at, statuses } = reader(world(), { token: () => token });
      await pass(60_000);
      expect(statuses.at(-1)).toBe(`error:${code}`);
      expect(at.sockets).toHaveLength(0);
    }
    const { at, statuses } = reader(world(), { token: () => opaque("unknown") });
    await pass();
    at.socket.hello("other", ["t"]);
    expect(statuses.at(-1)).toBe("error:wrong_channel");
  });

  test("says where the server is; an option says it first, the page last", async () => {
    const url = "https://claim.test";
    const base = async (token: TokenInput, apiBaseUrl?: string) => {
      const { at } = reader(world(), { token, apiBaseUrl });
      await pass();
      return at.socket.url.host;
    };
    expect(await base({ key: tokenFor("c", ["t"], { url }), apiBaseUrl: "https://token.test" }, "https://option.test")).toBe("option.test");
    expect(await base({ key: tokenFor("c", ["t"], { url }), apiBaseUrl: "https://token.test" })).toBe("claim.test");
    expect(await base({ key: TOKEN, apiBaseUrl: "https://token.test" })).toBe("token.test");
    expect(await base(TOKEN)).toBe("page.test");
    const nowhere = reader(world("origin"));
    await pass();
    expect(nowhere.statuses.at(-1)).toBe("error:no_server");
  });

  test("of a run's own channel reads where the run is as well", async () => {
    const { at, got } = reader(world(), { token: tokenFor("c", ["t", "$run"]) });
    await pass();
    at.socket.hello("c", ["t", "$run"]);
    at.socket.says({ kind: "snapshot", channel: "c", topic: "$run", id: "1-0", data: [] });
    expect(got).toEqual(["snapshot"]);
    expect(at.socket.sent).toEqual([]);
  });
});

describe("replay", () => {
  test("is over when everything up to the token's cursor is there", async () => {
    const token = tokenFor("c", ["t"], { read: { channel: "c", topics: ["t"], cursor: "1-5" } });
    const { at, replaying } = reader(world(), { token, from: "start" });
    await pass();
    at.socket.hello("c", ["t"], "0-0");
    at.socket.says(data("t", 4, 1));
    expect(replaying).toEqual([true]);
    at.socket.says(data("t", 5, 2));
    expect(replaying).toEqual([true, false]);
  });

  test("is over when nothing comes any more, if the token does not say it", async () => {
    const { at, replaying } = reader(world(), { token: opaque("x"), from: "start" });
    await pass();
    at.socket.hello("c", ["t"], "0-0");
    await pass(200);
    at.socket.says(data("t", 1, 1));
    await pass(249);
    expect(replaying).toEqual([true]);
    await pass(1);
    expect(replaying).toEqual([true, false]);
  });
});

describe("where WebSockets are blocked", () => {
  const sse = (...events: string[]) => new Response(events.join(""), { headers: { "content-type": "text/event-stream" } });
  const event = (frame: object & { kind?: string }) => `event: ${frame.kind}\nid: 1-1\ndata: ${JSON.stringify(frame)}\n\n`;

  test("server-sent events are read after two failures, and resumed", async () => {
    const { at, got, statuses } = reader(world(), { from: "start" });
    const streams = [sse(":\n\n", event(data("t", 1, "a")), event({ kind: "closing", reconnect_ms: 700 } as object)), sse(event(data("t", 1, "a")), event(data("t", 2, "b")))];
    at.answer = (url) => (url.pathname === "/v1/realtime/sse" ? (streams.shift() ?? new Response(new ReadableStream())) : allowing());
    await pass();
    at.socket.drops();
    await pass(250);
    at.socket.drops();
    await pass(500);
    expect(at.sockets).toHaveLength(2);
    expect(got).toEqual(["a"]);
    expect(new URL(at.asked.at(-1) ?? "").searchParams.get("from")).toBe("start");
    await pass(699);
    expect(got).toEqual(["a"]);
    await pass(1);
    expect(new URL(at.asked.at(-1) ?? "").searchParams.get("from")).toBe("1-1");
    expect(got).toEqual(["a", "b"]);
    expect(statuses).toContain("open");
  });

  test("they are read at once where there is no WebSocket, and refusals are told", async () => {
    const at = world("WebSocket");
    at.answer = refusing(400, "bad_cursor");
    const { statuses } = reader(at, { from: "9-9" });
    await pass();
    expect(statuses).toEqual(["connecting", "error:bad_cursor"]);
  });

  test("a stream that falls silent is opened again", async () => {
    const at = world("WebSocket");
    at.answer = () => new Response(new ReadableStream());
    reader(at);
    await pass(45_250);
    expect(at.asked).toHaveLength(2);
  });
});

test("an error before the first frame is enough to know", async () => {
  const { at, statuses } = reader();
  at.answer = refusing(400, "bad_cursor");
  await pass();
  at.socket.onerror?.({});
  await pass();
  expect(statuses.at(-1)).toBe("error:bad_cursor");
});

test("a WebSocket that the page may not open is a failure like others", async () => {
  const at = world();
  (at as { WebSocket: unknown }).WebSocket = class {
    constructor() {
      throw new DOMException("insecure", "SecurityError");
    }
  };
  const { statuses } = reader(at);
  await pass();
  expect(statuses).toEqual(["connecting", "error:unreachable"]);
});

test("what was stopped goes on after what it holds", async () => {
  const { at, reading, got } = reader();
  await pass();
  at.socket.hello("c", ["t"]);
  at.socket.says(data("t", 2, "a"));
  reading.stop();
  expect(at.socket.closed).toBe(1000);
  reading.start();
  await pass();
  expect(at.socket.url.searchParams.get("from")).toBe("1-2");
  at.socket.hello("c", ["t"], "1-2");
  at.socket.says(data("t", 3, "b"));
  expect(got).toEqual(["a", "b"]);
});

describe("a page that was built against other schemas", () => {
  const schema = staticSchema<string>();
  const topics = { t: { schema, schemaHash: "11111111" }, u: { schema, schemaHash: "22222222" }, v: { schema } };
  const channel = realtime.channel({ name: "c", topics });
  const token = tokenFor("c", ["t", "u", "v"]);
  const options = { channel, topics: ["t", "u", "v"], token };
  const outdated = { outdated: ["u"] };

  test("reads what it still understands, and is told the rest", async () => {
    const { at, got, statuses } = reader(world(), options);
    await pass();
    expect(at.socket.url.searchParams.getAll("schema")).toEqual(["11111111:t", "22222222:u"]);
    at.socket.hello("c", ["t", "v"], "1-0", outdated);
    at.socket.says(data("t", 1, "a"), data("u", 2, "misread"), data("v", 3, "b"));
    expect(got).toEqual(["a", "b"]);
    expect(statuses).toEqual(["connecting", "open", "outdated_client"]);
    at.socket.drops();
    await pass(250);
    expect(at.socket.url.searchParams.get("from")).toBe("1-3");
    at.socket.hello("c", ["t", "u", "v"], "1-3");
    at.socket.says(data("u", 4, "understood again"));
    expect(got).toEqual(["a", "b", "understood again"]);
  });

  test("says so when it joins a connection", async () => {
    const { at, pool } = reader();
    await pass();
    at.socket.hello("c", ["t"]);
    const other = realtime.channel({ name: "d", topics });
    const second = reader(at, { ...options, channel: other, token: tokenFor("d", ["t", "u", "v"]) }, pool);
    await pass();
    const sub = at.socket.sent.find(({ kind }) => kind === "sub");
    expect(sub?.["schemas"]).toEqual({ t: "11111111", u: "22222222" });
    at.socket.says({ kind: "subscribed", ref: sub?.["ref"], channel: "d", topics: ["t", "v"], cursor: "1-0", session: 3600, ...outdated });
    expect(second.statuses).toEqual(["connecting", "open", "outdated_client"]);
  });

  test("is told on an event stream", async () => {
    const at = world("WebSocket");
    const frame = JSON.stringify({ kind: "outdated", channel: "c", topics: ["u"] });
    const events = `:\n\nevent: outdated\ndata: ${frame}\n\ndata: ${JSON.stringify(data("t", 1, "a"))}\n\n`;
    at.answer = () => new Response(events, { headers: { "content-type": "text/event-stream" } });
    const { got, statuses } = reader(at, options);
    await pass();
    expect(new URL(at.asked[0] as string).searchParams.getAll("schema")).toEqual(["11111111:t", "22222222:u"]);
    expect(got).toEqual(["a"]);
    expect(statuses.slice(0, 3)).toEqual(["connecting", "open", "outdated_client"]);
  });

  test("ends when it understands nothing", async () => {
    const at = world();
    at.answer = refusing(409, "outdated_client");
    const { statuses, reading } = reader(at, options);
    await pass();
    at.socket.drops();
    await pass();
    expect(statuses).toEqual(["connecting", "error:outdated_client"]);
    expect(reading.isRunning()).toBe(false);
  });
});
