import { Inngest } from "inngest";
import { serve } from "inngest/edge";
import { expect, test } from "vitest";

import { realtime, staticSchema } from "../src/index.js";
import { PublishMiddleware } from "../src/inngest.js";

const channel = realtime.channel({
  name: ({ runId }: { runId: string }) => `pipeline:${runId}`,
  topics: { status: { schema: staticSchema<{ message: string }>() }, tokens: { schema: staticSchema<{ token: string }>() } },
});

/** A function behind its route, and what it has published. */
function served() {
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
    await step.run("stream", async () => {
      for (const token of ["a", "b", "a"]) await publish(tokens, { token });
    });
    await publish(status, { message: "Done" });
  });
  const handler = serve({ client: inngest, functions: [generate] });
  const call = (attempt: number, steps: object) => {
    const event = { name: "app/generate", data: { runId: "r1" }, id: "e", ts: 1 };
    const ctx = { run_id: "R", attempt, disable_immediate_execution: false, use_api: false, stack: { stack: Object.keys(steps), current: Object.keys(steps).length } };
    return handler(
      new Request("http://app.test/api/inngest?fnId=app-generate&stepId=step", {
        method: "POST",
        headers: { "content-type": "application/json", host: "app.test" },
        body: JSON.stringify({ event, events: [event], steps, ctx, version: 2, use_api: false }),
      }),
    );
  };
  return { call, published };
}

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

test("another attempt of a step says its own", async () => {
  const { call, published } = served();
  await call(0, {});
  const first = published.splice(0);
  await call(1, {});
  expect(published[1]?.query["attempt"]).toBe("2");
  expect(published[1]?.key).not.toBe(first[1]?.key);
  expect(published[0]?.key).toBe(first[0]?.key);
});
