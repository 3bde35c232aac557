// @vitest-environment happy-dom
// Reading without React: with a state, and beforehand.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { observe, prefetch } from "../src/realtime.js";
import { data, opaque, pass, tokenFor, world } from "./support/platform.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("observe", () => {
  test("calls back with the state now and after each change, until it is ended", async () => {
    const at = world();
    const seen: unknown[] = [];
    const onMessage = vi.fn();
    const end = observe({ channel: "c", topics: ["t"], token: tokenFor("c", ["t"]), platform: at, onMessage }, (state) => {
      seen.push([state.connectionStatus, state.messages.text["t"]]);
    });
    await pass();
    at.socket.hello("c", ["t"], "0-0");
    at.socket.says(data("t", 1, "Hel"), data("t", 2, "lo"));
    await pass(300);
    expect(seen[0]).toEqual(["connecting", undefined]);
    expect(seen.at(-1)).toEqual(["open", "Hello"]);
    expect(onMessage).toHaveBeenCalledTimes(2);
    end();
    const count = seen.length;
    await pass(5_000);
    expect(at.socket.closed).toBe(1000);
    expect(seen).toHaveLength(count);
  });

  test("is for pages", () => {
    vi.stubGlobal("document", undefined);
    expect(() => observe({ channel: "c", topics: ["t"], token: opaque("x") }, () => {})).toThrow(expect.objectContaining({ code: "no_page" }));
    vi.unstubAllGlobals();
  });

  test("says at once what is missing", () => {
    const token = opaque("x");
    expect(() => observe({ channel: "", topics: ["t"], token }, () => {})).toThrow(expect.objectContaining({ code: "bad_channel" }));
    expect(() => observe({ channel: "c", topics: [], token }, () => {})).toThrow(expect.objectContaining({ code: "bad_topic" }));
  });
});

describe("prefetch", () => {
  const token = tokenFor("c", ["t"], { url: "http://server.test" });
  const answers = (...all: { cursor: string; frames: unknown[] }[]) => {
    const asked: URL[] = [];
    return { asked, fetch: async (url: string) => (asked.push(new URL(url)), Response.json(all.shift() ?? { cursor: "1-9", frames: [] })) };
  };

  test("reads until there is nothing more", async () => {
    const { asked, fetch } = answers({ cursor: "1-2", frames: [1, 2] }, { cursor: "1-3", frames: [3] }, { cursor: "1-3", frames: [] });
    expect(await prefetch({ channel: "c", topics: ["t"], token, from: "start", fetch })).toEqual({ cursor: "1-3", frames: [1, 2, 3] });
    expect(asked.map(({ origin, searchParams }) => [origin, searchParams.get("from")])).toEqual([
      ["http://server.test", "start"], ["http://server.test", "1-2"], ["http://server.test", "1-3"],
    ]);
  });

  test("stops after what a page can be given", async () => {
    const { asked, fetch } = answers({ cursor: "1-2", frames: Array(1_000).fill(0) });
    expect((await prefetch({ channel: "c", topics: ["t"], token, fetch })).frames).toHaveLength(1_000);
    expect(asked.map(({ searchParams }) => searchParams.get("from"))).toEqual(["last:100"]);
  });

  test("says why it cannot", async () => {
    const fetch = async () => Response.json({ code: "forbidden", error: "no" }, { status: 403 });
    await expect(prefetch({ channel: "c", topics: ["t"], token, fetch })).rejects.toMatchObject({ code: "forbidden" });
    await expect(prefetch({ channel: "c", topics: ["t"], token: opaque("x"), fetch })).rejects.toMatchObject({ code: "no_server" });
    await expect(prefetch({ channel: "c", topics: ["t"], token: "<html>", fetch })).rejects.toMatchObject({ code: "invalid_token" });
    await expect(prefetch({ channel: "c", topics: ["t"], fetch })).rejects.toMatchObject({ code: "invalid_token" });
  });
});
