// A platform whose sockets and answers the test writes itself. Timers are those of vitest.

import { vi } from "vitest";

import type { Platform, Socket } from "../../src/connection/platform.js";

export class ScriptedSocket implements Socket {
  onmessage: ((event: any) => void) | null = null;
  onclose: ((event: any) => void) | null = null;
  onerror: ((event: any) => void) | null = null;
  readonly url: URL;
  readonly sent: Record<string, any>[] = [];
  closed: number | true | undefined;
  /** Whether it answers when it is asked. */
  isThere = true;

  constructor(url: string) {
    this.url = new URL(url);
  }

  send(text: string): void {
    const frame = JSON.parse(text);
    this.sent.push(frame);
    if (frame.kind === "ping" && this.isThere) queueMicrotask(() => this.says({ kind: "pong", data: null }));
  }

  close(code?: number): void {
    this.closed = code ?? true;
  }

  /** The server says this. */
  says(...frames: object[]): void {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** The connection ends. */
  drops(code = 1006, reason = ""): void {
    this.onclose?.({ code, reason });
  }

  hello(channel: string, topics: string[], cursor = "1-0", more: object = {}): void {
    this.says({ kind: "hello", protocol: 1, epoch: 1, keepalive_ms: 15_000, channel, topics, cursor, session: 3600, ...more });
  }
}

export interface World extends Platform {
  readonly sockets: ScriptedSocket[];
  /** The newest one. */
  readonly socket: ScriptedSocket;
  readonly asked: string[];
  /** What HTTP answers; nobody unless said. */
  answer: (url: URL, init?: RequestInit) => Response | Promise<Response>;
  hide(isHidden: boolean): void;
  wake(): void;
}

/** The test's platform; `lacking` names what this one does not have. */
export function world(...lacking: ("WebSocket" | "origin")[]): World {
  const sockets: ScriptedSocket[] = [];
  const asked: string[] = [];
  const wakers = new Set<() => void>();
  let isHidden = false;
  // The longest waits.
  vi.spyOn(Math, "random").mockReturnValue(1);
  const all: World = {
    sockets,
    asked,
    get socket() {
      const socket = sockets.at(-1);
      if (!socket) throw new Error("no socket was opened");
      return socket;
    },
    answer: () => {
      throw new TypeError("fetch failed");
    },
    WebSocket: class extends ScriptedSocket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
      }
    },
    async fetch(url, init) {
      asked.push(url);
      return this.answer(new URL(url), init);
    },
    origin: "http://page.test",
    isHidden: () => isHidden,
    onWake(callback) {
      wakers.add(callback);
      return () => wakers.delete(callback);
    },
    hide(value) {
      isHidden = value;
      for (const wake of [...wakers]) wake();
    },
    wake() {
      for (const wake of [...wakers]) wake();
    },
  };
  for (const name of lacking) Object.defineProperty(all, name, { value: undefined });
  return all;
}

/** Lets promises settle, and timers of so many milliseconds pass. */
export const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

/** A token that says what ours say. */
export function tokenFor(channel: string, topics: string[], more: object = {}): string {
  const claims = Buffer.from(JSON.stringify({ exp: 1, read: { channel, topics, cursor: "1-0", history: true }, ...more })).toString("base64url");
  return `e30.${claims}.sig`;
}

/** A token that says nothing of itself. */
export const opaque = (name: string) => `e30.${name}.sig`;

let offset = 0;

/** A data frame; `id` is its offset in epoch 1. */
export function data(topic: string, id: number, payload: unknown, more: object = {}): object {
  offset += 1;
  const created_at = new Date(1_795_000_000_000 + offset).toISOString();
  return { kind: "data", channel: "c", topic, id: `1-${id}`, data: payload, created_at, env_id: "e", ...more };
}

export function piece(id: number, payload: unknown, more: object = {}): object {
  return { id: `1-${id}`, data: payload, created_at: "2026-11-25T10:00:00Z", ...more };
}
