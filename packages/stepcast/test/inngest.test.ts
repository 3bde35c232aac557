import { Inngest, realtime as theirs } from "inngest";
import { serve } from "inngest/edge";
import { getSubscriptionToken as theirToken } from "inngest/realtime";
import { expect, test } from "vitest";

import { realtime, staticSchema, Stepcast } from "../src/index.js";
import { PublishMiddleware } from "../src/inngest.js";
import { getSubscriptionToken } from "../src/realtime.js";

const channel = realtime.channel({
  name: ({ runId }: { runId: string }) => `pipeline:${runId}`,
  topics: { status: { schema: staticSchema<{ message: string }>() }, tokens: { schema: staticSchema<{ token: string }>() } },
});

/** A function behind its route, and what it has published. */
function served(...steps: string[]) {
  const published: { query: Record<string, string>; key: string; body: unknown }[] = [];
  const fetch = async (input: string | URL | Request, init?: RequestInit) => {
    const url = new URL(String(input));
    if (url.pathname === "/v1/realtime/publish") {
      const key = new Headers(init?.headers).get("idempotency-key") ?? "";
      published.push({ query: Object.fromEntries(url.searchParams), key, body: JSON.parse(String(init?.body)) });
    }
    return Response.json({ ids: ["1-1"] });
  };
  const inngest = new Inngest({ id: "app", isDev: true, baseUrl: "http://server.test", fetch: fetch as typeof globalThis.fetch, middleware: [PublishMiddleware], checkpointing: false });
  const generate = inngest.createFunction({ id: "generate", triggers: [{ event: "app/generate" }] }, async ({ event, publish, step }) => {
    const { status, tokens } = channel({ runId: event.data.runId });
    await publish(status, { message: "Starting…" });
    for (const id of steps.length > 0 ? steps : ["stream"]) {
      await step.run(id, async () => {
        for (const token of ["a", "b", "a"]) await publish(tokens, { token });
      });
    }
    await publish(status, { message: "Done" });
  });
  const handler = serve({ client: inngest, functions: [generate] });
  const call = (attempt: number, steps: object, headers: Record<string, string> = {}) => {
    const event = { name: "app/generate", data: { runId: "r1" }, id: "e", ts: 1 };
    const ctx = { run_id: "R", attempt, disable_immediate_execution: false, use_api: false, stack: { stack: Object.keys(steps), current: Object.keys(steps).length } };
    return handler(
      new Request("http://app.test/api/inngest?fnId=app-generate&stepId=step", {
        method: "POST",
        headers: { "content-type": "application/json", host: "app.test", ...headers },
        body: JSON.stringify({ event, events: [event], steps, ctx, version: 2, use_api: false }),
      }),
    );
  };
  return { call, published };
}

test("an attempt that counts no more is told so where it waits, and nowhere else", async () => {
  const refusal = { code: "attempt_over", error: "over", data: null, status: 409 };
  const fetch = async () => Response.json(refusal, { status: 409 });
  const told: unknown[] = [];
  const inngest = new Inngest({ id: "app", isDev: true, baseUrl: "http://server.test", fetch: fetch as typeof globalThis.fetch, middleware: [PublishMiddleware], checkpointing: false });
  const late = inngest.createFunction({ id: "late", triggers: [{ event: "app/late" }] }, async ({ publish }) => {
    const { status } = channel({ runId: "r1" });
    // Nobody handles this one; Vitest fails when a rejection is handled by nobody.
    void publish(status, { message: "not waited for" });
    await publish(status, { message: "waited for" }).catch(({ code }) => told.push(code));
  });
  const handler = serve({ client: inngest, functions: [late] });
  const event = { name: "app/late", data: {}, id: "e", ts: 1 };
  const ctx = { run_id: "R", attempt: 0, disable_immediate_execution: false, use_api: false, stack: { stack: [], current: 0 } };
  const request = new Request("http://app.test/api/inngest?fnId=app-late&stepId=step", {
    method: "POST",
    headers: { "content-type": "application/json", host: "app.test" },
    body: JSON.stringify({ event, events: [event], steps: {}, ctx, version: 2, use_api: false }),
  });
  expect((await handler(request)).status).toBeLessThan(300);
  expect(told).toEqual(["attempt_over"]);
});

test("what is published names the request in which it is", async () => {
  const { call, published } = served();
  await call(0, {}, { "x-request-id": "01KASE7J6K0000000000000000" });
  expect(new Set(published.map(({ query }) => query["request_id"]))).toEqual(new Set(["01KASE7J6K0000000000000000"]));
});

test("a handler publishes; what it says again on the way of its run is named the same", async () => {
  const { call, published } = served();
  const answer = await call(0, {});
  expect(answer.status).toBe(206);
  const [op] = (await answer.json()) as { id: string }[];
  expect(published.map(({ body }) => body)).toEqual([{ message: "Starting…" }, { token: "a" }, { token: "b" }, { token: "a" }]);
  expect(published[0]?.query).toEqual({ v: "1", channel: "pipeline:r1", topic: "status", run_id: "R" });
  expect(published[1]?.query).toMatchObject({ topic: "tokens", run_id: "R", step_id: "stream", attempt: "1" });
  expect(new Set(published.map(({ key }) => key)).size).toBe(4);

  const before = published.splice(0);
  await call(0, { [op?.id ?? ""]: { type: "data", data: null } });
  expect(published.map(({ body }) => body)).toEqual([{ message: "Starting…" }, { message: "Done" }]);
  expect(published[0]?.key).toBe(before[0]?.key);
});

test("channels of the two packages stand for each other", async () => {
  const asked: { path: string; query: Record<string, string>; body: unknown }[] = [];
  const fetch = async (input: string | URL | Request, init?: RequestInit) => {
    const { pathname: path, searchParams } = new URL(String(input));
    asked.push({ path, query: Object.fromEntries(searchParams), body: JSON.parse(String(init?.body)) });
    return Response.json({ ids: ["1-1"], jwt: "e30.e30.sig" }, { status: path.endsWith("token") ? 201 : 200 });
  };
  const inngest = new Inngest({ id: "app", isDev: true, baseUrl: "http://server.test", fetch: fetch as typeof globalThis.fetch });
  const stepcast = new Stepcast({ url: "http://server.test", fetch: fetch as never });
  const other = theirs.channel({ name: ({ runId }: { runId: string }) => `pipeline:${runId}`, topics: { status: { schema: staticSchema<{ message: string }>() } } });

  await inngest.realtime.publish(channel({ runId: "r" }).status, { message: "ours" });
  await stepcast.realtime.publish(other({ runId: "r" }).status, { message: "theirs" });
  expect(asked.splice(0).map(({ query, body }) => [query["channel"], query["topic"], body])).toEqual([
    ["pipeline:r", "status", { message: "ours" }],
    ["pipeline:r", "status", { message: "theirs" }],
  ]);

  const ofTheirs = await theirToken(inngest, { channel: channel({ runId: "r" }), topics: ["status"] });
  const ofOurs = await getSubscriptionToken(inngest, { channel: other({ runId: "r" }), topics: ["status"] });
  expect([ofTheirs.key, ofOurs.key]).toEqual(["e30.e30.sig", "e30.e30.sig"]);
  expect(asked.map(({ path }) => path)).toEqual(["/v1/realtime/token", "/v1/realtime/token"]);
});

test("a step whose id is used again is named as it is recorded", async () => {
  const { call, published } = served("stream", "stream");
  const ids: string[] = [];
  for (let n = 0; n < 2; n++) {
    const steps = Object.fromEntries(ids.map((id) => [id, { type: "data", data: null }]));
    const [op] = (await (await call(0, steps)).json()) as { id: string }[];
    ids.push(op?.id ?? "");
  }
  const said = published.filter(({ query }) => query["topic"] === "tokens").map(({ query }) => query["step_id"]);
  expect(said).toEqual(["stream", "stream", "stream", "stream:1", "stream:1", "stream:1"]);
});

test("steps may have ids of any letters and any length", async () => {
  for (const id of ["生成", "é", "x".repeat(2_000)]) {
    const { call, published } = served(id);
    expect((await call(0, {})).status).toBe(206);
    const { key, query } = published[1] ?? {};
    expect(query?.["step_id"]).toBe(id);
    expect(key).toMatch(/^[!-~]{1,200}$/);
  }
});

test("another attempt of a step says its own", async () => {
  const { call, published } = served();
  await call(0, {});
  const first = published.splice(0);
  await call(1, {});
  expect(published[1]?.query["attempt"]).toBe("2");
  expect(published[1]?.key).not.toBe(first[1]?.key);
  expect(published[0]?.key).toBe(first[0]?.key);
});
