// @vitest-environment happy-dom
import { act, createElement, Profiler, StrictMode, type ReactNode } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";

import { realtime, staticSchema } from "../src/index.js";
import { RealtimeProvider, useRealtime, type UseRealtimeResult, useRun } from "../src/react.js";
import { data, opaque, pass, piece, tokenFor, world, type World } from "./support/platform.js";

const channel = realtime.channel({
  name: "c",
  topics: { t: { schema: z.object({ n: z.number() }) }, text: { schema: staticSchema<{ token: string }>(), text: "token" } },
});
const topics = ["t", "text"] as const;
const token = () => tokenFor("c", ["t", "text"]);
const by = (attempt: number) => ({ run_id: "r", step_id: "s", attempt });

let root: Root;
let at: World;
let renders: number;

beforeEach(() => {
  vi.useFakeTimers();
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  at = world();
  renders = 0;
  root = createRoot(document.createElement("div"));
});
afterEach(async () => {
  await act(async () => root.unmount());
  await pass(10_000);
  vi.useRealTimers();
});

type Result = UseRealtimeResult<typeof channel, typeof topics>;

/** What a component reads of a result, each time it renders. */
async function shown<T>(options: object, read: (result: Result) => T, wrap: (child: ReactNode) => ReactNode = (child) => child) {
  const seen: { value?: T; result?: Result } = {};
  function Probe({ props }: { props: object }): ReactNode {
    renders += 1;
    seen.result = useRealtime({ channel, topics, token, ...props } as never) as Result;
    seen.value = read(seen.result);
    return null;
  }
  const show = (props: object) => act(async () => {
    root.render(<RealtimeProvider platform={at}>{wrap(createElement(Probe, { props }))}</RealtimeProvider>);
    await pass();
  });
  await show(options);
  return Object.assign(seen, { show });
}

const open = (cursor = "0-0") => act(async () => at.socket.hello("c", ["t", "text"], cursor));
const say = (...frames: object[]) => act(async () => at.socket.says(...frames));
const later = (milliseconds: number) => act(() => pass(milliseconds));

describe("useRealtime", () => {
  test("shows the connection, messages and their text", async () => {
    const seen = await shown({}, ({ connectionStatus, runStatus, messages }) => ({ connectionStatus, runStatus, last: messages.last?.data, text: messages.text.text }));
    expect(seen.value).toEqual({ connectionStatus: "connecting", runStatus: "unknown", last: undefined, text: undefined });
    await open("1-0");
    expect(seen.value).toMatchObject({ connectionStatus: "open", runStatus: "running" });
    await say(data("text", 1, { token: "Hel" }, by(1)), data("text", 2, { token: "lo" }, by(1)), data("t", 3, { n: 3 }));
    expect(seen.value).toMatchObject({ last: { n: 3 }, text: "Hello" });
    expect(seen.result?.messages.byTopic.t?.data.n).toBe(3);
    expect(seen.result?.messages.all.map(({ id }) => id)).toEqual(["1-1", "1-2", "1-3"]);
  });

  test("takes back what a failed attempt has said", async () => {
    const onRollback = vi.fn();
    const seen = await shown({ onRollback }, ({ messages }) => [messages.text.text, messages.all.length, messages.delta.length]);
    await open("1-0");
    await say(data("text", 1, { token: "wro" }, by(1)));
    await say({ kind: "rollback", channel: "c", topic: "text", id: "1-2", after: "1-0", created_at: "", ...by(1), data: [] });
    expect(seen.value).toEqual(["", 0, 0]);
    expect(onRollback).toHaveBeenCalledWith(["1-1"]);
    await say(data("text", 3, { token: "right" }, by(2)));
    expect(seen.value?.[0]).toBe("right");
  });

  test("renders only when something that was read has changed", async () => {
    const seen = await shown({}, ({ connectionStatus }) => connectionStatus);
    await open("1-0");
    const before = renders;
    await say(data("t", 1, { n: 1 }), data("t", 2, { n: 2 }));
    expect(renders).toBe(before);
    await seen.show({ any: 1 });
    expect(seen.result?.messages.last?.data).toEqual({ n: 2 });
    await say(data("t", 3, { n: 3 }));
    expect(renders).toBe(before + 2);
  });

  test("keeps the identity of what is unchanged", async () => {
    const seen = await shown({}, (result) => ({ ...result, ...result.messages }));
    await open("1-0");
    await say(data("t", 1, { n: 1 }));
    const before = seen.result as Result;
    await seen.show({ any: 1 });
    expect(seen.result).toBe(before);
    await say(data("text", 2, { token: "x" }));
    expect(seen.result).not.toBe(before);
    expect(seen.result?.messages.byTopic.t).toBe(before.messages.byTopic.t);
    await say({ kind: "run", channel: "c", data: { status: "running", result: 1 } });
    expect(seen.result?.result).toBe(1);
    expect(seen.result?.messages.all).toBe(seen.value?.all);
  });

  test("selects", async () => {
    const seen = await shown({ select: ({ messages }: Result) => [messages.byTopic.t?.data.n ?? 0], isEqual: ([a]: number[], [b]: number[]) => a === b }, (selection) => selection as never as number[]);
    await open("1-0");
    await say(data("t", 1, { n: 1 }));
    const before = renders;
    await say(data("text", 2, { token: "x" }), data("t", 3, { n: 1 }));
    expect(renders).toBe(before);
    await say(data("t", 4, { n: 2 }));
    expect(seen.value).toEqual([2]);
    expect(renders).toBe(before + 1);
  });

  test("selects new objects without rendering for ever", async () => {
    const seen = await shown({ select: ({ messages }: Result) => ({ last: messages.last?.data }) }, (selection) => selection as never as { last: unknown });
    await open("1-0");
    await say(data("t", 1, { n: 1 }));
    expect(seen.value).toEqual({ last: { n: 1 } });
    expect(renders).toBeLessThan(8);
  });

  test("loses nothing to a callback that throws", async () => {
    const onMessage = vi.fn(() => {
      throw new Error("mine");
    });
    const seen = await shown({ onMessage }, ({ messages }) => messages.all.length);
    await open("1-0");
    await say(data("t", 1, { n: 1 }), data("t", 2, { n: 2 }));
    expect(seen.value).toBe(2);
    expect(() => vi.runOnlyPendingTimers()).toThrow("mine");
    await pass().catch(() => {});
    vi.clearAllTimers();
  });

  test("shows bursts together: 10,000 messages in 25 renders a second", async () => {
    const seen = await shown({ bufferInterval: 50 }, ({ messages }) => messages.text.text?.length);
    await open("1-0");
    const before = renders;
    for (let second = 0; second < 10; second++) {
      for (let tick = 0; tick < 100; tick++) {
        await act(async () => {
          for (let n = 0; n < 10; n++) at.socket.says(data("text", 1 + second * 1000 + tick * 10 + n, { token: "x" }));
          await pass(10);
        });
      }
    }
    await later(50);
    expect(seen.value).toBe(10_000);
    expect(renders - before).toBeLessThanOrEqual(250);
    expect(seen.result?.messages.all).toHaveLength(100);
  }, 30_000);

  test("calls back once for each message, also in StrictMode, and connects once", async () => {
    const onMessage = vi.fn();
    const getToken = vi.fn(token);
    await shown({ onMessage, token: getToken }, () => null, (child) => <StrictMode>{child}</StrictMode>);
    await open("1-0");
    await say(data("t", 1, { n: 1 }), data("t", 2, { n: 2 }));
    await act(async () => at.socket.drops());
    await later(250);
    await open("1-2");
    await say(data("t", 2, { n: 2 }), data("t", 3, { n: 3 }));
    expect(onMessage.mock.calls.map(([{ id }]) => id)).toEqual(["1-1", "1-2", "1-3"]);
    expect(at.sockets).toHaveLength(2);
    expect(getToken).toHaveBeenCalledTimes(2);
  });

  test("is shared by components, and kept for those who come back in a moment", async () => {
    const Pair = () => {
      const one = useRealtime({ channel, topics, token });
      const other = useRealtime({ channel, topics, token: () => token() });
      return <p>{one.messages.text.text}{other.messages.text.text}</p>;
    };
    const show = (child: ReactNode) => act(async () => {
      root.render(<RealtimeProvider platform={at}>{child}</RealtimeProvider>);
      await pass();
    });
    await show(<Pair />);
    await open("1-0");
    await say(data("text", 1, { token: "x" }));
    await show(null);
    await later(4_000);
    await show(<Pair />);
    expect(at.sockets).toHaveLength(1);
    await show(null);
    await later(5_000);
    expect(at.socket.closed).toBe(1000);
  });

  test("is idle until it is known what to read", async () => {
    const seen = await shown({ channel: undefined }, ({ connectionStatus }) => connectionStatus);
    expect(seen.value).toBe("idle");
    await seen.show({ topics: [] });
    expect(seen.value).toBe("idle");
    expect(at.sockets).toHaveLength(0);
    await seen.show({});
    expect(seen.value).toBe("connecting");
    expect(at.sockets).toHaveLength(1);
  });

  test("begins anew with another key, and forgets on reset", async () => {
    const seen = await shown({ key: "a" }, ({ messages }) => messages.all.length);
    await open("1-0");
    await say(data("t", 1, { n: 1 }));
    await act(async () => seen.result?.reset());
    expect(seen.value).toBe(0);
    await say(data("t", 2, { n: 2 }));
    expect(seen.value).toBe(1);
    await seen.show({ key: "b" });
    expect(seen.value).toBe(0);
  });

  test("pauses when it is disabled, and keeps what it shows", async () => {
    const seen = await shown({}, ({ connectionStatus, pauseReason, messages }) => [connectionStatus, pauseReason, messages.all.length]);
    await open("1-0");
    await say(data("t", 1, { n: 1 }));
    await seen.show({ enabled: false });
    await later(6_000);
    expect(seen.value).toEqual(["paused", "disabled", 1]);
    expect(at.socket.closed).toBe(1000);
    await seen.show({ enabled: true });
    expect(at.socket.url.searchParams.get("from")).toBe("1-1");
  });

  test("pauses while the page is hidden, and misses nothing", async () => {
    const seen = await shown({}, ({ connectionStatus, pauseReason, messages }) => [connectionStatus, pauseReason, messages.text.text]);
    await open("1-0");
    await say(data("text", 1, { token: "a" }, by(1)));
    await act(async () => at.hide(true));
    expect(seen.value).toEqual(["paused", "hidden", "a"]);
    await act(async () => {
      at.hide(false);
      await pass();
    });
    expect(at.socket.url.searchParams.get("from")).toBe("1-1");
    await open("1-1");
    await say({ kind: "snapshot", channel: "c", topic: "text", id: "1-3", data: [piece(3, { token: "abc" }, by(1))] }, data("text", 3, { token: "c" }, by(1)));
    await later(16);
    expect(seen.value).toEqual(["open", null, "abc"]);
  });

  test("closes when the run ends while it watches, not when it had ended before", async () => {
    const seen = await shown({ token: opaque("x"), from: "start" }, ({ connectionStatus, runStatus, result }) => [connectionStatus, runStatus, result]);
    await open();
    await say({ kind: "run", channel: "c", data: { status: "completed", result: 1 } });
    await later(1_000);
    expect(seen.value).toEqual(["open", "completed", 1]);
    const other = await shown({ token: opaque("y") }, ({ connectionStatus, runStatus }) => [connectionStatus, runStatus]);
    await later(250);
    await open("1-0");
    await later(300);
    await say({ kind: "run", channel: "c", data: { status: "failed" } });
    await later(100);
    expect(other.value).toEqual(["closed", "failed"]);
    const count = at.sockets.length;
    await later(60_000);
    expect(at.sockets).toHaveLength(count);
  });

  test("says once what does not fit, and goes on", async () => {
    const seen = await shown({}, ({ error, connectionStatus, messages }) => [error?.code, connectionStatus, messages.all.length]);
    await open("1-0");
    await say(data("t", 1, { n: "x" }), data("t", 2, { n: "y" }), data("t", 3, { n: 3 }));
    expect(seen.value).toEqual(["invalid_message", "open", 1]);
    await act(async () => seen.result?.reset());
    expect(seen.value?.[0]).toBeUndefined();
  });

  test("says why there is no connection, and that a gap has come", async () => {
    const seen = await shown({ token: () => "<html>" }, ({ error, connectionStatus, gap }) => [error?.code, connectionStatus, gap?.topic]);
    expect(seen.value).toEqual(["invalid_token", "error", undefined]);
    await seen.show({});
    await later(250);
    await open("1-0");
    await say(data("t", 1, { n: 1 }), { kind: "gap", channel: "c", topic: "t", keep_to: "1-1", reason: "crashed" });
    expect(seen.value).toEqual([undefined, "open", "t"]);
  });

  test("begins a run's own channel at its start, others where the token was minted", async () => {
    const own = realtime.channel({ name: ({ runId }: { runId: string }) => `p:${runId}`, topics: channel.topics });
    const seen = await shown({ channel: own({ runId: "r1" }), token: opaque("x") }, () => null);
    expect(at.socket.url.searchParams.get("from")).toBe("start");
    await seen.show({ channel: own({ runId: "r1" }), token: opaque("x"), from: "mint" });
    expect(at.socket.url.searchParams.get("from")).toBeNull();
  });

  test("is idle on a server, and takes tokens from the provider", async () => {
    const Page = () => <p>{useRealtime({ channel, topics }).connectionStatus}</p>;
    const get = vi.fn(async () => token());
    const page = <RealtimeProvider platform={at} token={get} apiBaseUrl="https://api.test"><Page /></RealtimeProvider>;
    expect(renderToString(page)).toBe("<p>idle</p>");
    await act(async () => {
      root.render(<Profiler id="page" onRender={() => {}}>{page}</Profiler>);
      await pass();
    });
    expect(at.socket.url.origin).toBe("wss://api.test");
    expect(get).toHaveBeenCalledWith({ channel: "c", topics });
  });
});

describe("what a server has read before", () => {
  const initial = { cursor: "1-4", frames: [data("t", 3, { n: 3 }), { kind: "snapshot", channel: "c", topic: "text", id: "1-4", data: [piece(4, { token: "Hello" }, by(1))] }] };
  const Page = ({ from = "start" }) => {
    const { connectionStatus, messages } = useRealtime({ channel, topics, token, from, initial: JSON.parse(JSON.stringify(initial)) });
    return <p>{connectionStatus} {messages.text.text} {messages.byTopic.t?.data.n}</p>;
  };
  const page = () => <RealtimeProvider platform={at}><Page /></RealtimeProvider>;

  test("is in the HTML, without anything that stays on the server", () => {
    const { document } = globalThis;
    vi.stubGlobal("document", undefined);
    const timers = vi.getTimerCount();
    expect(renderToString(page())).toBe("<p>idle<!-- --> <!-- -->Hello<!-- --> <!-- -->3</p>");
    expect(vi.getTimerCount()).toBe(timers);
    vi.stubGlobal("document", document);
  });

  test("is taken over by the page, which goes on after it and says nothing of it twice", async () => {
    const element = document.createElement("div");
    element.innerHTML = "<p>idle<!-- --> <!-- -->Hello<!-- --> <!-- -->3</p>";
    const complaints = vi.fn();
    const hydrated = await act(async () => {
      const hydrated = hydrateRoot(element, page(), { onRecoverableError: complaints });
      await pass();
      return hydrated;
    });
    expect(complaints).not.toHaveBeenCalled();
    expect(at.socket.url.searchParams.get("from")).toBe("1-3");
    await open("1-3");
    await say(data("text", 4, { token: "Hello" }, by(1)), data("text", 5, { token: "!" }, by(1)));
    expect(element.textContent).toBe("open Hello! 3");
    await act(async () => hydrated.unmount());
  });

  test("does not close the connection when the run had ended", async () => {
    const ended = { cursor: "1-1", frames: [{ kind: "run", channel: "c", data: { status: "completed" } }] };
    const seen = await shown({ initial: ended }, ({ connectionStatus, runStatus }) => [connectionStatus, runStatus]);
    await later(1_000);
    expect(seen.value).toEqual(["connecting", "completed"]);
  });
});

test("useRun shows where a run and its steps are", async () => {
  let seen: ReturnType<typeof useRun> | undefined;
  const Page = () => {
    seen = useRun("R", { token: () => tokenFor("R", ["$run", "$step"]) });
    return null;
  };
  await act(async () => {
    root.render(<RealtimeProvider platform={at}><Page /></RealtimeProvider>);
    await pass();
  });
  await act(async () => at.socket.hello("R", ["$run", "$step"], "0-0"));
  const on = { channel: "R" };
  const step = (name: string, status: string, began_at: string) => ({ step_id: name, verb: "run", status, attempt: 1, began_at });
  await say(
    { kind: "snapshot", ...on, topic: "$run", id: "1-0", data: [piece(1, { status: "queued", attempt: 1 })] },
    { kind: "snapshot", ...on, topic: "$step", id: "1-0", data: [piece(1, step("b", "waiting", "2026-01-02")), piece(2, step("a", "completed", "2026-01-01"))] },
  );
  await later(300);
  expect(seen).toMatchObject({ status: "queued", attempt: 1, steps: [{ stepId: "a", status: "completed" }, { stepId: "b", status: "waiting" }] });
  await say(data("$run", 3, { status: "failed", attempt: 2, error: { code: "function_failed", message: "no" } }, on), data("$step", 4, step("b", "failed", "2026-01-02"), on));
  await later(300);
  expect(seen).toMatchObject({ status: "failed", failure: { code: "function_failed" }, steps: [{}, { status: "failed" }], connectionStatus: "closed" });
});
