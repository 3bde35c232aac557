import { RealtimeError, refusal } from "../error.js";
import { type ClientFrame, parse, type Ref, type ServerFrame, VERSION } from "../protocol/frame.js";
import { address } from "./address.js";
import type { Down, Line, LineReader } from "./line.js";
import type { Platform, Socket } from "./platform.js";
import { Pulse } from "./pulse.js";
import type { Token } from "./token.js";

/** How long the first frame may take. */
const HELLO_MS = 20_000;
/** The longest time that a server may send clients away for. */
const AWAY_MS = 60_000;
/** Subscriptions of one connection. */
export const MOST_READERS = 256;

/**
 * One WebSocket with the readers of up to 256 channels. It lives once: when it is gone, its readers are told and find another one.
 */
export class Link implements Line {
  readonly #platform: Platform;
  readonly #origin: string;
  readonly #onGone: (link: Link) => void;
  readonly #readers = new Map<string, { reader: LineReader; token: Token }>();
  readonly #asked = new Map<Ref, { reader: LineReader; what: "sub" | "auth" }>();
  readonly #pulse: Pulse;
  #socket: Socket | undefined;
  #opener: LineReader | undefined;
  #isOpen = false;
  #isGone = false;
  #helloTimer: unknown;
  #lastRef = 0;
  #wait: number | undefined;

  constructor(platform: Platform, origin: string, onGone: (link: Link) => void) {
    this.#platform = platform;
    this.#origin = origin;
    this.#onGone = onGone;
    this.#pulse = new Pulse(platform, {
      ask: () => this.#send({ kind: "ping" }),
      onSilence: () => this.#end({ error: new RealtimeError("unreachable", "server does not answer", { retryable: true }) }),
    });
  }

  /** Whether another reader of this channel would have to share its place. */
  takes(channel: string): boolean {
    return !this.#isGone && !this.#readers.has(channel) && this.#readers.size < MOST_READERS;
  }

  attach(reader: LineReader, token: Token): void {
    this.#readers.set(reader.session.channel, { reader, token });
    if (!this.#socket) this.#open(reader, token);
    else if (this.#isOpen) this.#subscribe(reader, token);
  }

  detach(reader: LineReader): void {
    if (!this.#forget(reader)) return;
    if (this.#readers.size === 0) this.#close();
    else if (this.#isOpen) this.#send({ kind: "unsub", channel: reader.session.channel });
  }

  auth(reader: LineReader, token: Token): void {
    if (this.#readers.get(reader.session.channel)?.reader !== reader) return;
    this.#send({ kind: "auth", ref: this.#ask(reader, "auth"), token: token.key });
  }

  wake(): void {
    if (this.#isOpen) this.#pulse.wake();
  }

  #open(reader: LineReader, { key }: Token): void {
    this.#opener = reader;
    const url = address(this.#origin, "connect", { v: String(VERSION), token: key, from: reader.session.from });
    const fail = (cause?: unknown) => {
      const error = new RealtimeError("unreachable", `no WebSocket to ${this.#origin}`, { cause, retryable: true });
      this.#end({ error, isHandshake: !this.#isOpen });
    };
    const { WebSocket } = this.#platform;
    try {
      if (!WebSocket) throw new Error("this environment has no WebSocket");
      const socket = new WebSocket(url);
      this.#socket = socket;
      socket.onmessage = ({ data }: { data: unknown }) => this.#onMessage(data);
      socket.onclose = ({ code }: { code?: number }) => this.#onClose(code, fail);
      socket.onerror = () => {};
      this.#helloTimer = this.#platform.setTimeout(fail, HELLO_MS);
    } catch (cause) {
      // Not before whoever attaches knows what it is attached to.
      this.#helloTimer = this.#platform.setTimeout(() => fail(cause), 0);
    }
  }

  #onMessage(text: unknown): void {
    if (this.#isGone) return;
    this.#pulse.onSign();
    let frame: ServerFrame;
    try {
      frame = parse(text);
    } catch (error) {
      return this.#end({ error: error as RealtimeError });
    }
    this.#onFrame(frame);
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.kind) {
      case "hello":
        return this.#onHello(frame);
      case "subscribed": {
        const reader = this.#answered(frame.ref, "sub");
        if (reader) this.#onReading(reader, frame);
        return;
      }
      case "authenticated":
        return this.#answered(frame.ref, "auth")?.onAuthenticated(frame.session);
      case "error":
        return this.#onError(frame);
      case "closing":
        this.#wait = Math.min(frame.reconnect_ms, AWAY_MS);
        return;
      case "data":
      case "snapshot":
      case "rollback":
      case "gap":
        return this.#readers.get(frame.channel)?.reader.onFrame(frame);
      case "run":
        for (const { reader } of [...this.#readers.values()]) reader.onFrame(frame);
        return;
      case "unsubscribed":
      case "pong":
        return;
    }
  }

  #onHello(hello: ServerFrame & { kind: "hello" }): void {
    this.#platform.clearTimeout(this.#helloTimer);
    if (hello.protocol !== VERSION) {
      const text = `server speaks version ${hello.protocol} of the protocol, this client version ${VERSION}`;
      return this.#end({ error: new RealtimeError("protocol", text) });
    }
    this.#isOpen = true;
    this.#pulse.start(hello.keepalive_ms);
    const opener = this.#opener;
    const isRead = opener !== undefined && this.#readers.get(opener.session.channel)?.reader === opener;
    for (const { reader, token } of [...this.#readers.values()]) if (reader !== opener) this.#subscribe(reader, token);
    if (!isRead) return this.#send({ kind: "unsub", channel: hello.channel });
    const unwanted = hello.topics.filter((topic) => !opener.session.topics.includes(topic));
    if (unwanted.length > 0) this.#send({ kind: "unsub", channel: hello.channel, topics: unwanted });
    this.#onReading(opener, hello);
  }

  /** What the server reads for a reader, which must be what that wants to read. */
  #onReading(reader: LineReader, said: { channel: string; topics: string[]; cursor: string; session: number }): void {
    const { channel, topics } = reader.session;
    const missing = topics.filter((topic) => !said.topics.includes(topic));
    if (said.channel !== channel) {
      if (!this.#readers.has(said.channel)) this.#send({ kind: "unsub", channel: said.channel });
      return this.#refuse(reader, new RealtimeError("wrong_channel", `token is for channel \`${said.channel}\`, not for \`${channel}\``));
    }
    if (missing.length > 0) {
      this.#send({ kind: "unsub", channel });
      return this.#refuse(reader, refusal("forbidden", `token does not allow topic \`${missing[0]}\` of channel \`${channel}\``));
    }
    reader.session.begin(said.topics, said.cursor);
    reader.onOpen(said.session);
  }

  #onError(frame: ServerFrame & { kind: "error" }): void {
    const asked = frame.ref === undefined ? undefined : this.#asked.get(frame.ref);
    if (!asked) return;
    this.#asked.delete(frame.ref as Ref);
    const error = refusal(frame.code, frame.error);
    if (asked.what === "auth") asked.reader.onTokenRefused(error);
    else this.#refuse(asked.reader, error);
  }

  #onClose(code: number | undefined, fail: (cause?: unknown) => void): void {
    if (!this.#isOpen) return fail();
    switch (code) {
      case 4401:
        return this.#end({ error: new RealtimeError("bad_token", "session is over", { retryable: true }), wait: 0 });
      case 1002:
      case 1007:
      case 1009:
        return this.#end({ error: new RealtimeError("protocol", `server has closed the connection with ${code}`) });
      default:
        return this.#end({ error: new RealtimeError("unreachable", "connection is gone", { retryable: true }) });
    }
  }

  #subscribe(reader: LineReader, token: Token): void {
    const { from, topics } = reader.session;
    const ref = this.#ask(reader, "sub");
    this.#send({ kind: "sub", ref, token: token.key, ...(from === undefined ? {} : { from }), topics });
  }

  #ask(reader: LineReader, what: "sub" | "auth"): Ref {
    this.#lastRef += 1;
    this.#asked.set(this.#lastRef, { reader, what });
    return this.#lastRef;
  }

  /** Who has asked; nobody when that one has gone. */
  #answered(ref: Ref | undefined, what: "sub" | "auth"): LineReader | undefined {
    const asked = ref === undefined ? undefined : this.#asked.get(ref);
    if (asked?.what !== what) return undefined;
    this.#asked.delete(ref as Ref);
    return asked.reader;
  }

  #refuse(reader: LineReader, error: RealtimeError): void {
    this.#forget(reader);
    reader.onRefused(error);
    if (this.#readers.size === 0) this.#close();
  }

  #forget(reader: LineReader): boolean {
    const { channel } = reader.session;
    if (this.#readers.get(channel)?.reader !== reader) return false;
    this.#readers.delete(channel);
    for (const [ref, asked] of this.#asked) if (asked.reader === reader) this.#asked.delete(ref);
    return true;
  }

  #send(frame: ClientFrame): void {
    if (!this.#isGone) this.#socket?.send(JSON.stringify(frame));
  }

  #close(): void {
    this.#end({ error: new RealtimeError("unreachable", "nobody reads", { retryable: true }) }, 1000);
  }

  #end(down: Down, code?: number): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#pulse.stop();
    this.#platform.clearTimeout(this.#helloTimer);
    const socket = this.#socket;
    if (socket) socket.onmessage = socket.onclose = null;
    socket?.close(code);
    this.#onGone(this);
    const wait = down.wait ?? this.#wait;
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    for (const { reader } of readers) {
      const { isHandshake, ...rest } = down;
      // Only the opener's token was shown: others are not refused, and try at once.
      if (isHandshake && reader !== this.#opener) reader.onDown({ ...rest, wait: 0 });
      else reader.onDown({ ...down, ...(wait === undefined ? {} : { wait }) });
    }
  }
}
