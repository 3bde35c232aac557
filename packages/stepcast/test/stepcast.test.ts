import { describe, expect, test, vi } from "vitest";
import { z } from "zod";

import { realtime, RealtimeError, Stepcast, staticSchema } from "../src/index.js";
import { isRunsOwn } from "../src/definition/channel.js";

const pipeline = realtime.channel({
  name: ({ runId }: { runId: string }) => `pipeline:${runId}`,
  topics: { status: { schema: z.object({ message: z.string() }) }, tokens: { schema: staticSchema<{ token: string }>() } },
});

function server(answer: () => Response | Promise<Response>, options: object = {}) {
  const fetch = vi.fn(async (_url: string, _init?: RequestInit) => answer());
  return { fetch, stepcast: new Stepcast({ url: "http://server.test/ignored", fetch, ...options }) };
}

describe("a channel", () => {
  test("has its name and a reference for each topic, in the shape that npm inngest knows", () => {
    const channel = pipeline({ runId: "r1" });
    expect(channel.name).toBe("pipeline:r1");
    expect(channel.status).toEqual({ channel: "pipeline:r1", topic: "status", config: pipeline.topics.status });
    expect(Object.keys(channel)).toEqual(["name", "topics", "status", "tokens"]);
    expect(realtime.channel({ name: "c", topics: {} }).name).toBe("c");
  });

  test("has no name while a parameter is missing", () => {
    expect(pipeline({ runId: undefined as never }).name).toBe("");
    expect(pipeline(undefined as never).name).toBe("");
  });

  test("refuses topics whose names mean something else", () => {
    for (const topic of ["name", "topics", "then", "constructor", "$run"]) {
      expect(() => realtime.channel({ name: "c", topics: { [topic]: { schema: staticSchema<string>() } } })).toThrow(`topic \`${topic}\` has a reserved name`);
    }
  });

  test("is a run's own when a run is what it is named after", () => {
    expect(isRunsOwn(pipeline({ runId: "r1" }))).toBe(true);
    expect(isRunsOwn("log/01KAYF3S9N8V1Z8QX5B7C2D4E6")).toBe(true);
    expect(isRunsOwn("chat:lobby")).toBe(false);
    expect(isRunsOwn(realtime.channel({ name: ({ job }: { job: string }) => `p:${job}`, topics: {} })({ job: "j" }))).toBe(false);
  });
});

describe("the client of a server", () => {
  test("sends events under its key", async () => {
    const { fetch, stepcast } = server(() => Response.json({ ids: ["e"], runs: [["r"]], status: 200 }), { eventKey: "k/1" });
    expect(await stepcast.send({ name: "app/x", data: { n: 1 } })).toEqual({ ids: ["e"], runs: [["r"]] });
    expect(fetch.mock.calls[0]?.[0]).toBe("http://server.test/e/k%2F1");
    expect(fetch.mock.calls[0]?.[1]?.body).toBe('{"name":"app/x","data":{"n":1}}');
  });

  test("publishes what fits the schema, with its key and what else was asked", async () => {
    const { fetch, stepcast } = server(() => Response.json({ ids: ["1-2"] }), { signingKey: "secret" });
    const { status } = pipeline({ runId: "r 1" });
    expect(await stepcast.realtime.publish(status, { message: "hi" }, { durable: true, idempotencyKey: "once", runId: "R" })).toEqual({ id: "1-2" });
    const [url, init] = fetch.mock.calls[0] ?? [];
    expect(url).toBe("http://server.test/v1/realtime/publish?v=1&channel=pipeline%3Ar+1&topic=status&durable=true&run_id=R");
    expect(init?.headers).toEqual({ "content-type": "application/json", authorization: "Bearer secret", "idempotency-key": "once" });
    await expect(stepcast.realtime.publish(status, { message: 1 as never })).rejects.toMatchObject({ code: "invalid_message" });
    await expect(stepcast.realtime.publish(pipeline({ runId: undefined as never }).tokens, { token: "" })).rejects.toMatchObject({ code: "bad_channel" });
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  test("publishes many messages in one request, or none", async () => {
    const { fetch, stepcast } = server(() => Response.json({ ids: ["1-2", "1-3"] }));
    const { status } = pipeline({ runId: "r1" });
    const items = [{ message: "a\nb" }, { message: "c" }];
    expect(await stepcast.realtime.publishAll(status, items, { idempotencyKey: "once" })).toEqual({ ids: ["1-2", "1-3"] });
    const [url, init] = fetch.mock.calls[0] ?? [];
    expect(url).toBe("http://server.test/v1/realtime/publish?v=1&channel=pipeline%3Ar1&topic=status");
    expect(init?.headers).toEqual({ "content-type": "application/x-ndjson", "idempotency-key": "once" });
    expect(init?.body).toBe('{"message":"a\\nb"}\n{"message":"c"}');
    const wrong = stepcast.realtime.publishAll(status, [{ message: "a" }, { message: 1 as never }]);
    await expect(wrong).rejects.toMatchObject({ code: "invalid_message", message: expect.stringContaining("item 1") });
    expect(await stepcast.realtime.publishAll(status, [])).toEqual({ ids: [] });
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  test("mints tokens, which are small as JSON", async () => {
    const { fetch, stepcast } = server(() => Response.json({ jwt: "a.b.c" }, { status: 201 }));
    const channel = pipeline({ runId: "r1" });
    const token = await stepcast.realtime.token({ channel, topics: ["status"], session: 60 });
    expect(fetch.mock.calls[0]?.[1]?.body).toBe('{"channel":"pipeline:r1","topics":["status"],"session":60}');
    expect(token.channel).toBe(channel);
    expect(JSON.parse(JSON.stringify(token))).toEqual({ channel: "pipeline:r1", topics: ["status"], key: "a.b.c", apiBaseUrl: "http://server.test/ignored" });
  });

  test("says what went wrong in its own words", async () => {
    const refused = server(() => Response.json({ code: "overloaded", error: "too much", data: null, status: 429 }, { status: 429 }));
    const error = await refused.stepcast.send({ name: "x" }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(RealtimeError);
    expect(error).toMatchObject({ code: "overloaded", message: "too much", retryable: true });
    const proxy = server(() => new Response("<html>Bad gateway", { status: 502 }));
    await expect(proxy.stepcast.send({ name: "x" })).rejects.toMatchObject({ code: "unreachable", retryable: true });
    const nobody = server(() => Promise.reject(new TypeError("fetch failed")));
    await expect(nobody.stepcast.send({ name: "x" })).rejects.toMatchObject({ code: "unreachable" });
  });
});
