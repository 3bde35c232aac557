import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";

import { realtime, staticSchema } from "../src/index.js";
import { getSubscriptionToken, type SubscribeOptions, subscribe } from "../src/realtime.js";
import { data, opaque, pass, piece, tokenFor, world } from "./support/platform.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const channel = realtime.channel({
  name: "c",
  topics: { t: { schema: z.object({ n: z.number().default(7) }) }, text: { schema: staticSchema<{ token: string }>(), text: "token" } },
});

async function begun(options: Partial<SubscribeOptions<typeof channel, readonly ("t" | "text")[]>> = {}) {
  const at = world();
  const errors: any[] = [];
  const promise = subscribe({
    channel, topics: ["t", "text"], token: tokenFor("c", ["t", "text"]), platform: at, onError: (error) => errors.push(error), ...options,
  });
  await pass();
  at.socket.hello("c", ["t", "text"], "0-0");
  return { at, errors, messages: await promise };
}

async function taken<T>(stream: { [Symbol.asyncIterator](): AsyncIterator<T> }, count: number): Promise<T[]> {
  const items: T[] = [];
  const iterator = stream[Symbol.asyncIterator]();
  while (items.length < count) items.push((await iterator.next()).value as T);
  return items;
}

describe("a subscription", () => {
  test("is a stream of typed messages, parsed by their schemas", async () => {
    const { at, messages } = await begun();
    at.socket.says(data("t", 1, {}, { run_id: "r", step_id: "s", attempt: 1 }), data("text", 2, { token: "x" }));
    const [one, two] = await taken(messages, 2);
    expect(one).toMatchObject({ kind: "data", channel: "c", topic: "t", data: { n: 7 }, id: "1-1", runId: "r", stepId: "s", attempt: 1, envId: "e" });
    expect(one?.createdAt).toBeInstanceOf(Date);
    expect(two).toMatchObject({ topic: "text", data: { token: "x" } });
  });

  test("leaves out what does not fit its schema, and says so", async () => {
    const { at, errors, messages } = await begun();
    at.socket.says(data("t", 1, { n: "seven" }), data("t", 2, { n: 2 }));
    expect(await taken(messages, 1)).toMatchObject([{ id: "1-2" }]);
    expect(errors).toMatchObject([{ code: "invalid_message", retryable: false }]);
    const raw = await begun({ validate: false });
    raw.at.socket.says(data("t", 1, { n: "seven" }));
    expect(await taken(raw.messages, 1)).toMatchObject([{ data: { n: "seven" } }]);
  });

  test("keeps the order while a schema takes its time", async () => {
    const slow = realtime.channel({ name: "c", topics: { t: { schema: z.number().refine((n) => new Promise((done) => setTimeout(() => done(true), 100 - n))) } } });
    const { at, messages } = await begun({ channel: slow as any });
    at.socket.says(data("t", 1, 1), data("text", 2, "two"), data("t", 3, 90));
    await pass(1_000);
    expect((await taken(messages, 3)).map(({ id }) => id)).toEqual(["1-1", "1-2", "1-3"]);
  });

  test("gives nothing twice after a connection is lost, also of a text", async () => {
    const { at, errors, messages } = await begun();
    const by = { run_id: "r", step_id: "s", attempt: 1 };
    at.socket.says(data("text", 1, { token: "Hel" }, by), data("t", 2, { n: 1 }));
    at.socket.drops();
    await pass(250);
    at.socket.hello("c", ["t", "text"], "1-2");
    at.socket.says({ kind: "snapshot", channel: "c", topic: "text", id: "1-3", data: [piece(3, { token: "Hello" }, by)] }, data("t", 4, { n: 2 }));
    at.socket.says(data("text", 5, { token: "!" }, by));
    expect((await taken(messages, 5)).map(({ data }) => data)).toEqual([{ token: "Hel" }, { n: 1 }, { token: "lo" }, { n: 2 }, { token: "!" }]);
    expect(errors).toEqual([]);
    at.socket.says({ kind: "snapshot", channel: "c", topic: "text", id: "1-7", data: [piece(7, { token: "again" }, { ...by, attempt: 2 })] });
    expect(errors).toMatchObject([{ code: "rolled_back" }]);
  });

  test("tells of what cannot be said in messages, and exactly on request", async () => {
    const { at, errors, messages } = await begun();
    const updates = messages.updates();
    at.socket.says(data("t", 1, { n: 1 }));
    at.socket.says({ kind: "rollback", channel: "c", topic: "t", id: "1-3", after: "1-0", created_at: "2026-11-25T10:00:00Z" });
    at.socket.says({ kind: "gap", channel: "c", topic: "t", keep_to: "1-3", reason: "trimmed" });
    expect(errors.map(({ code }) => code)).toEqual(["rolled_back", "gap"]);
    void updates;
    const { at: other, messages: rest } = await begun();
    const all = rest.updates();
    const first = all.next();
    other.socket.says({ kind: "run", data: { status: "completed" } });
    expect((await first).value).toEqual({ kind: "run", data: { status: "completed" } });
  });

  test("calls back, in order, and reports what a callback throws", async () => {
    const onMessage = vi.fn(() => {
      throw new Error("mine");
    });
    const { at, errors, messages } = await begun({ onMessage } as object);
    at.socket.says(data("t", 1, { n: 1 }), data("t", 2, { n: 2 }));
    await pass();
    expect(onMessage.mock.calls.map(([message]: any) => message.id)).toEqual(["1-1", "1-2"]);
    expect(errors.map(({ message }) => message)).toEqual(["mine", "mine"]);
    expect(Object.keys(messages)).toEqual(["close", "unsubscribe"]);
  });

  test("gives more streams, one of them for responses", async () => {
    const { at, messages } = await begun();
    const [json, encoded] = [messages.getJsonStream().getReader(), messages.getEncodedStream().getReader()];
    at.socket.says(data("t", 1, { n: 1 }));
    expect((await json.read()).value?.id).toBe("1-1");
    const text = new TextDecoder().decode((await encoded.read()).value);
    expect(text).toMatch(/^data: \{"kind":"data".*"n":1.*\}\n\n$/);
    messages.close();
    expect((await json.read()).done).toBe(true);
    expect(at.socket.closed).toBe(1000);
  });

  test("that is not read for too long says so instead of filling memory", async () => {
    const { at, messages } = await begun();
    for (let id = 1; id <= 10_001; id++) at.socket.says(data("t", id, { n: 1 }));
    await expect(taken(messages, 10_001)).rejects.toMatchObject({ code: "too_slow" });
  });

  test("ends with its signal, and with its loop", async () => {
    const end = new AbortController();
    const { at, messages } = await begun({ signal: end.signal });
    end.abort();
    expect(at.socket.closed).toBe(1000);
    expect((await messages[Symbol.asyncIterator]().next()).done).toBe(true);
    const other = await begun();
    other.at.socket.says(data("t", 1, { n: 1 }));
    for await (const message of other.messages) {
      expect(message.id).toBe("1-1");
      break;
    }
    expect(other.at.socket.closed).toBe(1000);
  });

  test("ends with the error that ends it", async () => {
    const { at, messages } = await begun();
    at.socket.drops(1009);
    await expect(taken(messages, 1)).rejects.toMatchObject({ code: "protocol" });
  });
});

describe("a subscription does not begin", () => {
  test("without a server, a name, topics or a token", async () => {
    const at = world();
    const failed = (options: object) =>
      subscribe({ channel: "c", topics: ["t"], token: opaque("x"), platform: at, ...options } as never).then(
        () => "begun",
        (error) => (error.name === "RealtimeError" ? error.code : error.name),
      );
    const promise = failed({});
    await pass();
    at.socket.drops();
    expect(await promise).toBe("unreachable");
    expect(await failed({ channel: "" })).toBe("bad_channel");
    expect(await failed({ topics: [] })).toBe("bad_topic");
    expect(await failed({ token: undefined })).toBe("invalid_token");
    expect(await failed({ token: "<html>" })).toBe("invalid_token");
    expect(await failed({ signal: AbortSignal.abort() })).toBe("AbortError");
    await pass(60_000);
    expect(at.sockets).toHaveLength(1);
  });

  test("with what mints its tokens, more than once", async () => {
    const at = world();
    const app = { realtime: { token: vi.fn(async () => ({ key: tokenFor("c", ["t"]), apiBaseUrl: "https://mint.test/" })) } };
    expect(await getSubscriptionToken(app, { channel, topics: ["t"] })).toMatchObject({ apiBaseUrl: "https://mint.test/" });
    const promise = subscribe({ app, channel, topics: ["t"], platform: at });
    await pass();
    expect(at.socket.url.origin).toBe("wss://mint.test");
    at.socket.hello("c", ["t"]);
    await promise;
    expect(app.realtime.token).toHaveBeenLastCalledWith({ channel, topics: ["t"] });
  });
});
