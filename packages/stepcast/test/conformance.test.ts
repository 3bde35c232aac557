// The transcripts of `conformance/`, the other way round: the server's lines are said to the client, and what it connects with, says and
// comes to hold is checked.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createContents } from "../src/contents/contents.js";
import { createPool, type Pool } from "../src/connection/pool.js";
import type { RealtimeError } from "../src/error.js";
import { createReading, type Reading, USUAL } from "../src/subscription/reading.js";
import { opaque, pass, world } from "./support/platform.js";

const FOLDER = path.resolve(import.meta.dirname, "../../../conformance");

/** Frames that this client never says: on purpose wrong, or another way to the same. Their answers reach it, and mean nothing to it. */
const NEVER_SAID = [
  { file: "03-last", kind: "ping" },
  { file: "09-sub-and-unsub", ref: "two" },
  { file: "09-sub-and-unsub", ref: 3 },
  { file: "11-errors", kind: "shout" },
  { file: "11-errors", kind: "auth" },
  { file: "11-errors", kind: "ping" },
  { file: "12-ping", kind: "ping" },
];

/** What readers come to hold: payloads in order by channel; texts; errors. */
const HELD: Record<string, object> = {
  "01-hello-and-data": { "chat:1": [{ text: "between" }, null, "by a run"] },
  "02-from-start": { "p:1": [1, { token: "Hello" }, "second", 2, { token: "!" }], text: { tokens: "Hello!" } },
  "03-last": { c: [2, 3] },
  "04-resume": { c: [1, 2, 3] },
  "05-gap-by-trimming": { c: ["anything"], gap: { topic: "t", reason: "trimmed", from: "<first>", to: "<any>", missing: null }, error: "unreachable" },
  "06-gap-unknown-epoch": { c: [1, "now"], gap: { topic: "status", reason: "unknown_epoch" } },
  "07-rollback-live": { c: [{ token: "So: " }, { token: "right" }], text: { tokens: "So: right" } },
  "08-rollback-while-away": { c: [3] },
  "09-sub-and-unsub": { a: [6], b: [1] },
  "10-auth": { c: [1], error: undefined },
  "11-errors": { c: [], d: [], error: "forbidden" },
  "12-ping": { c: [] },
  "13-closing": { c: [], error: "unreachable" },
};

type Line = Record<string, any>;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const files = readdirSync(FOLDER).filter((file) => file.endsWith(".jsonl"));

test("every transcript has its expectation", () => {
  expect(files.map((file) => path.basename(file, ".jsonl"))).toEqual(Object.keys(HELD));
});

test.each(files)("%s", async (file) => {
  const name = path.basename(file, ".jsonl");
  const lines = readFileSync(path.join(FOLDER, file), "utf8").trim().split("\n");
  const player = new Player(name);
  for (const line of lines) await player.play(JSON.parse(line));
  player.check(HELD[name] as Line);
});

/** One reader of a channel with what it holds. */
class Reader {
  readonly contents = createContents({}, null);
  readonly reading: Reading;
  error: RealtimeError | null = null;
  tokens: string[];

  constructor(pool: Pool, channel: string, topics: string[], from: string | undefined, tokens: string[]) {
    this.tokens = tokens;
    const token = () => opaque(this.tokens.length > 1 ? (this.tokens.shift() as string) : (this.tokens[0] as string));
    const options = { ...USUAL, channel, topics, from, token: () => token };
    this.reading = createReading(pool, options, {
      onChange: (change) => void this.contents.apply(change),
      onStatus: (_, error) => void (this.error = error),
      onError: (error) => void (this.error = error),
      onReplaying() {},
    });
  }
}

class Player {
  readonly #name: string;
  readonly #world = world();
  readonly #pool = createPool(this.#world);
  readonly #values = new Map<string, unknown>();
  readonly #tokens = new Map<string, { channel: string; topics: string[] }>();
  readonly #readers = new Map<string, Reader>();
  readonly #refs = new Map<unknown, unknown>();
  #offset = 10;
  #unsaid: unknown[] = [];
  /** Places in the channel of records that attempts have failed. */
  readonly #records: string[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  async play(line: Line): Promise<void> {
    if (line["do"]) await this.#do(line);
    else if (line["server"]) await this.#say(line["server"]);
    else if (line["client"]) await this.#expect(line["client"]);
    else if (line["close"]) this.#world.socket.drops(line["close"].code, String(this.#value("reason", line["close"].reason)));
    await pass();
  }

  check(expected: Line): void {
    const { text, gap, error, ...channels } = expected;
    const held = [...this.#readers].map(([channel, reader]) => {
      const messages = reader.contents.commit();
      return [channel, messages.all.map(({ data }) => data)];
    });
    expect(Object.fromEntries(held)).toEqual(channels);
    expect([...this.#readers.values()].at(-1)?.error?.code).toBe(error);
    const first = [...this.#readers.values()][0]?.contents;
    if (text) expect(first?.commit().text).toMatchObject(text);
    const known = Object.entries(gap ?? {}).map(([key, value]) => [key, value === "<any>" ? expect.any(String) : this.#value(key, value)]);
    if (gap) expect(first?.gap).toMatchObject(Object.fromEntries(known));
    else expect(first?.gap ?? null).toBeNull();
  }

  async #do(line: Line): Promise<void> {
    switch (line["do"]) {
      case "token":
        this.#tokens.set(line["as"], { channel: line["channel"], topics: line["topics"] });
        return;
      case "publish":
      case "say":
        this.#offset += line["times"] ?? 1;
        if (line["as"]) this.#values.set(`<${line["as"]}>`, `3-${this.#offset}`);
        return;
      case "fail":
        for (const _ of ["tokens", "log"]) this.#records.push(`3-${(this.#offset += 1)}`);
        return;
      case "connect":
        return this.#connect(line["token"].slice(1, -1), this.#value("from", line["from"]) as string | undefined);
      case "disconnect":
      case "restart":
        if (this.#world.sockets.length > 0) this.#world.socket.drops();
        return;
      default:
        return;
    }
  }

  async #connect(token: string, from: string | undefined): Promise<void> {
    const { channel, topics } = this.#tokens.get(token) ?? { channel: "", topics: [] };
    if (!this.#readers.has(channel)) await this.#begin(channel, topics, from, token);
    else await pass(5_000);
    const { searchParams, pathname } = this.#world.socket.url;
    expect(pathname).toBe("/v1/realtime/connect");
    expect(Object.fromEntries(searchParams)).toEqual({ v: "1", token: opaque(token), ...(from === undefined ? {} : { from }) });
  }

  async #begin(channel: string, topics: string[], from: string | undefined, token: string): Promise<void> {
    // In one transcript the session ends, and the token shown next is another one.
    const tokens = this.#name === "10-auth" ? ["short", "long", "short"] : [token];
    const reader = new Reader(this.#pool, channel, topics, from, tokens);
    this.#readers.set(channel, reader);
    reader.reading.start();
    await pass();
  }

  async #say(frame: Line): Promise<void> {
    if (frame["ref"] !== undefined && !this.#unsaid.includes(frame["ref"])) frame = { ...frame, ref: this.#refs.get(frame["ref"]) };
    if (frame["kind"] === "rollback") frame = { ...frame, id: this.#records.shift() };
    const said = this.#filled(frame) as object;
    this.#world.socket.says(said);
  }

  async #expect(frame: Line): Promise<void> {
    const isUnsaid = NEVER_SAID.some(({ file, kind, ref }) => file === this.#name && (kind ? frame["kind"] === kind : frame["ref"] === ref));
    if (isUnsaid) return void this.#unsaid.push(frame["ref"]);
    const { kind, ref, ...rest } = frame;
    const before = this.#world.socket.sent.length;
    await this.#cause(frame);
    const said = this.#world.socket.sent.slice(before).filter((said) => said["kind"] === kind);
    const named = typeof rest["token"] === "string" ? { token: opaque(rest["token"].replace(/[<>]/g, "")) } : {};
    if (ref !== undefined) this.#refs.set(ref, said[0]?.["ref"]);
    expect(said[0]).toMatchObject({ kind, ...(this.#filled(rest) as object), ...named });
  }

  /** Makes the client say such a frame. */
  async #cause(frame: Line): Promise<void> {
    if (frame["kind"] === "sub") {
      const token = frame["token"].replace(/[<>]/g, "");
      const { channel, topics } = this.#tokens.get(token) ?? { channel: "d", topics: ["t"] };
      this.#readers.get(channel)?.reading.stop();
      return this.#begin(channel, frame["topics"] ?? topics, this.#value("from", frame["from"]) as string, token);
    }
    if (frame["kind"] === "unsub") this.#readers.get(frame["channel"])?.reading.stop();
    else await pass(frame["token"] === "<short>" ? 450_000 : 750);
  }

  #filled(value: unknown, key = ""): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#filled(item, key));
    if (typeof value !== "object" || value === null) return this.#value(key, value);
    return Object.fromEntries(Object.entries(value).map(([key, value]) => [key, this.#filled(value, key)]));
  }

  /** What a name stands for. */
  #value(key: string, value: unknown): unknown {
    if (typeof value !== "string" || !/^<.*>$/.test(value)) return value;
    if (value === "<any>") return this.#any(key);
    if (!this.#values.has(value)) this.#values.set(value, this.#any(key));
    return this.#values.get(value);
  }

  #any(key: string): unknown {
    switch (key) {
      case "id":
        this.#offset += 1;
        return `3-${this.#offset}`;
      case "cursor":
      case "after":
      case "reason":
        return "3-1";
      case "created_at":
        return "2026-11-25T10:00:00.000Z";
      case "epoch":
        return 3;
      case "reconnect_ms":
        return 2_000;
      default:
        return "anything";
    }
  }
}
