// @vitest-environment happy-dom
// What goes wrong around a page: it is said once, in `error`, and is never thrown at a component.

import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";

import { realtime } from "../src/index.js";
import { RealtimeProvider, useRealtime, type UseRealtimeOptions } from "../src/react.js";
import { data, opaque, pass, tokenFor, world, type World } from "./support/platform.js";

const chat = realtime.channel({ name: ({ room }: { room: string }) => `chat:${room}`, topics: { t: { schema: z.object({ n: z.number() }) } } });
const lobby = chat({ room: "lobby" });
const good = tokenFor("chat:lobby", ["t"]);

let root: Root;
let at: World;

beforeEach(() => {
  vi.useFakeTimers();
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  at = world();
  root = createRoot(document.createElement("div"));
});
afterEach(async () => {
  await act(async () => root.unmount());
  await pass(10_000);
  vi.useRealTimers();
});

/** A page with the hook: what it shows, each time that changes. */
async function page(options: Partial<UseRealtimeOptions<any, any>>) {
  const seen: { shown: string[]; error: any; messages: unknown[] } = { shown: [], error: null, messages: [] };
  function Page(): ReactNode {
    const { connectionStatus, error, messages } = useRealtime({ channel: lobby, topics: ["t"], ...options });
    seen.error = error;
    seen.messages = messages.all.map(({ data }: any) => data.n);
    const shown = error ? `${connectionStatus}:${error.code}` : connectionStatus;
    if (seen.shown.at(-1) !== shown) seen.shown.push(shown);
    return null;
  }
  await act(async () => {
    root.render(<RealtimeProvider platform={at}><Page /></RealtimeProvider>);
    await pass();
  });
  return seen;
}

const later = (milliseconds: number) => act(() => pass(milliseconds));
const open = (cursor = "0-0", more: object = {}) => act(async () => at.socket.hello("chat:lobby", ["t"], cursor, more));
const say = (...frames: object[]) => act(async () => at.socket.says(...frames.map((frame) => ({ ...frame, channel: "chat:lobby" }))));
const drops = (code?: number) => act(async () => {
  at.socket.drops(code);
  await pass();
});

describe("a function for tokens", () => {
  test.each([
    ["throws", () => {
      throw new Error("logged out");
    }],
    ["rejects", () => Promise.reject(new Error("logged out"))],
  ])("that %s is called again, and its reason is told", async (_, fail) => {
    const token = vi.fn<() => any>().mockImplementationOnce(fail).mockReturnValue(good);
    const seen = await page({ token });
    expect(seen.shown.at(-1)).toBe("error:token_failed");
    expect(seen.error).toMatchObject({ retryable: true, message: expect.stringContaining("logged out"), cause: { message: "logged out" } });
    await later(250);
    await open();
    expect(seen.shown.at(-1)).toBe("open");
    expect(seen.error).toBeNull();
  });

  test("that gives a page instead is asked again, and what it gave is told", async () => {
    const html = "<!doctype html><title>Please log in to go on</title>";
    const token = vi.fn().mockReturnValueOnce(html).mockReturnValue(good);
    const seen = await page({ token });
    expect(seen.error).toMatchObject({ code: "invalid_token", retryable: true, message: `no token: \`${html.slice(0, 40)}\`` });
    await later(250);
    await open();
    expect(seen.shown.at(-1)).toBe("open");
  });

  test("that gives an old token is asked for another one at once", async () => {
    const token = vi.fn().mockReturnValueOnce(tokenFor("chat:lobby", ["t"], { exp: 0 })).mockReturnValue(good);
    at.answer = () => Response.json({ code: "bad_token", error: "token is expired" }, { status: 401 });
    const seen = await page({ token });
    await drops();
    await open();
    expect(token).toHaveBeenCalledTimes(2);
    expect(seen.shown.filter((shown) => shown.startsWith("error"))).toEqual([]);
    expect(seen.shown.at(-1)).toBe("open");
  });
});

test("an old token that cannot be replaced is the end, and said", async () => {
  at.answer = () => Response.json({ code: "bad_token", error: "token is expired" }, { status: 401 });
  const seen = await page({ token: opaque("old") });
  await drops();
  await later(60_000);
  expect(seen.shown.at(-1)).toBe("error:bad_token");
  expect(seen.error.message).toBe("token is expired");
  expect(at.sockets).toHaveLength(1);
});

test.each([
  ["wrong_channel", "chat:other", ["t"]],
  ["forbidden", "chat:lobby", ["u"]],
])("a token that is for something else is the end: %s", async (code, channel, topics) => {
  const seen = await page({ token: () => tokenFor(channel, topics) });
  await later(60_000);
  expect(seen.shown.at(-1)).toBe(`error:${code}`);
  expect(seen.error.retryable).toBe(false);
  expect(at.sockets).toHaveLength(0);
});

describe("a server", () => {
  test("that is down when the page comes is tried until it is there", async () => {
    const seen = await page({ token: () => good });
    await drops();
    expect(seen.shown.at(-1)).toBe("error:unreachable");
    expect(seen.error).toMatchObject({ retryable: true, message: "no connection to http://page.test" });
    await later(250);
    await drops();
    await later(500);
    await open();
    expect(seen.shown.at(-1)).toBe("open");
    expect(seen.error).toBeNull();
  });

  test("that restarts is come back to after what is held, when it has said to", async () => {
    const seen = await page({ token: () => good });
    await open();
    await say(data("t", 1, { n: 1 }), { kind: "closing", reconnect_ms: 1_000 });
    await drops(1001);
    expect(seen.shown.at(-1)).toBe("closed:unreachable");
    await later(999);
    expect(at.sockets).toHaveLength(1);
    await later(1);
    expect(at.socket.url.searchParams.get("from")).toBe("1-1");
    await open("1-1");
    await say(data("t", 1, { n: 1 }), data("t", 2, { n: 2 }));
    expect(seen.messages).toEqual([1, 2]);
    expect(seen.shown.at(-1)).toBe("open");
  });
});

describe("messages that do not fit their schema", () => {
  test("are said once, are not given to anybody, and hold up nothing", async () => {
    const onMessage = vi.fn();
    const seen = await page({ token: () => good, onMessage });
    await open();
    await say(data("t", 1, { n: "one" }));
    const { error } = seen;
    expect(error).toMatchObject({ code: "invalid_message", retryable: false, message: expect.stringContaining("message 1-1 of topic `t`") });
    await say(data("t", 2, { n: "two" }), data("t", 3, { n: 3 }));
    expect(seen.error).toBe(error);
    expect(seen.shown.at(-1)).toBe("open:invalid_message");
    expect(seen.messages).toEqual([3]);
    expect(onMessage.mock.calls.map(([{ id }]) => id)).toEqual(["1-3"]);
  });

  test("also when the schema throws, or says it later", async () => {
    const schemas = [() => { throw new Error("mine"); }, () => Promise.reject(new Error("mine"))].map(
      (validate) => ({ "~standard": { version: 1, vendor: "test", validate } }) as const,
    );
    for (const schema of schemas) {
      const channel = realtime.channel({ name: "chat:lobby", topics: { t: { schema } } });
      const seen = await page({ channel, token: () => good });
      await open();
      await say(data("t", 1, {}));
      await later(1);
      expect(seen.error).toMatchObject({ code: "invalid_message", message: expect.stringContaining("mine") });
      await act(async () => root.render(null));
      await pass(5_000);
    }
  });
});

test("without topics, or while a parameter of the channel is missing, nothing is read and nothing is wrong", async () => {
  for (const options of [{ topics: [] }, { channel: chat({ room: undefined as never }) }, { channel: undefined }, { channel: "" }]) {
    const seen = await page({ token: () => good, ...options });
    await later(1_000);
    expect(seen.shown).toEqual(["idle"]);
    expect(seen.error).toBeNull();
  }
  expect(at.sockets).toHaveLength(0);
});

test("two copies of the package on a page share one connection and what is read over it", async () => {
  vi.resetModules();
  const other = (await import("../src/react.js")) as typeof import("../src/react.js");
  expect(other.useRealtime).not.toBe(useRealtime);
  const shown: unknown[] = [];
  const show = (use: typeof useRealtime) => () => {
    shown.push(use({ channel: lobby, topics: ["t"], token: () => good }).messages.all.length);
    return null;
  };
  const [One, Other] = [show(useRealtime), show(other.useRealtime)];
  await act(async () => {
    root.render(<><RealtimeProvider platform={at}><One /></RealtimeProvider><other.RealtimeProvider platform={at}><Other /></other.RealtimeProvider></>);
    await pass();
  });
  await open();
  await say(data("t", 1, { n: 1 }));
  expect(at.sockets).toHaveLength(1);
  expect(shown.slice(-2)).toEqual([1, 1]);
});
