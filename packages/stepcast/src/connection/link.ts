import { RealtimeError } from "../error.js";
import { type Ask, type ChannelFrame, parse, type ServerFrame, VERSION } from "../protocol/frame.js";
import { address } from "./address.js";
import type { Down, Line, LineReader } from "./line.js";
import type { Platform, Socket } from "./platform.js";
import { Pulse } from "./pulse.js";
import { Timer } from "./timer.js";
import type { Token } from "./token.js";

/** How long the first frame may take. */
const HELLO_MS = 20_000;
/** The longest time that a server may send clients away for. */
const AWAY_MS = 60_000;
/** Subscriptions of one connection. */
const MOST_READERS = 256;

/** Who waits for an answer; what is refused is told as an error. */
interface Asked {
  reader: LineReader;
  onAnswer(frame: ServerFrame): void;
  onError(error: RealtimeError): void;
}

/** What the server says it reads for somebody. */
interface Beginning {
  channel: string;
  topics: string[];
  cursor: string;
  session: number;
}

/**
 * One WebSocket with the readers of up to 256 channels. It lives once: when it is gone, its readers are told and find another one.
 */
export class Link implements Line {
  readonly #platform: Platform;
  readonly #origin: string;
  readonly #onGone: (link: Link) => void;
  readonly #readers = new Map<string, { reader: LineReader; token: Token }>();
  readonly #asked = new Map<unknown, Asked>();
  readonly #pulse: Pulse;
  readonly #hello: Timer;
  #socket: Socket | undefined;
  #opener: LineReader | undefined;
  #isOpen = false;
  #isGone = false;
  #lastRef = 0;
  #wait: number | undefined;

  constructor(platform: Platform, origin: string, onGone: (link: Link) => void) {
    this.#platform = platform;
    this.#origin = origin;
    this.#onGone = onGone;
    this.#hello = new Timer(platform);
    this.#pulse = new Pulse(platform, {
      ask: () => this.#send({ kind: "ping" }),
      onSilence: () => this.#lose("server does not answer"),
    });
  }

  /** Whether it has a place for a reader of this channel. */
  takes(channel: string): boolean {
    return !this.#isGone && !this.#readers.has(channel) && this.#readers.size < MOST_READERS;
  }

  attach(reader: LineReader, token: Token): void {
    this.#readers.set(reader.session.channel, { reader, token });
    if (!this.#opener) this.#open(reader, token);
    else if (this.#isOpen) this.#subscribe(reader, token);
  }

  detach(reader: LineReader): void {
    if (!this.#forget(reader)) return;
    const { channel } = reader.session;
    if (this.#readers.size > 0) this.#unsub(channel);
    else this.#lose("nobody reads", 1000);
  }

  auth(reader: LineReader, { key }: Token): void {
    if (!this.#reads(reader)) return;
    this.#ask({ kind: "auth", token: key }, {
      reader,
      onAnswer: (frame) => frame.kind === "authenticated" && reader.onAuthenticated(frame.session),
      onError: (error) => reader.onTokenRefused(error),
    });
  }

  wake(): void {
    if (this.#isOpen) this.#pulse.wake();
  }

  #open(reader: LineReader, { key }: Token): void {
    this.#opener = reader;
    const url = address(this.#origin, "connect", { v: `${VERSION}`, token: key, from: reader.session.from });
    const fail = () => this.#lose(`no WebSocket to ${this.#origin}`);
    const { WebSocket } = this.#platform;
    try {
      const socket = new WebSocket!(url);
      this.#socket = socket;
      socket.onmessage = ({ data }: { data: unknown }) => this.#onMessage(data);
      socket.onclose = ({ code }: { code?: number }) => this.#onClose(code);
      // Some environments say no more than this of a handshake that has failed.
      socket.onerror = () => !this.#isOpen && fail();
      this.#hello.set(HELLO_MS, fail);
    } catch {
      // Not before whoever attaches knows what it is attached to.
      this.#hello.set(0, fail);
    }
  }

  #onMessage(text: unknown): void {
    if (this.#isGone) return;
    this.#pulse.onSign();
    try {
      this.#onFrame(parse(text));
    } catch (error) {
      if (!(error instanceof RealtimeError)) throw error;
      this.#end({ error });
    }
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.kind) {
      case "hello":
        return this.#onHello(frame);
      case "subscribed":
      case "authenticated":
      case "error": {
        const asked = this.#asked.get(frame.ref);
        this.#asked.delete(frame.ref);
        if (frame.kind === "error") asked?.onError(new RealtimeError(frame.code, frame.error));
        else asked?.onAnswer(frame);
        return;
      }
      case "closing":
        this.#wait = Math.min(frame.reconnect_ms, AWAY_MS);
        return;
      case "unsubscribed":
      case "pong":
        return;
      default:
        return this.#give(frame);
    }
  }

  /** To whom it belongs; where a run is may belong to all. */
  #give(frame: ChannelFrame): void {
    for (const [channel, { reader }] of [...this.#readers]) if (!frame.channel || frame.channel === channel) reader.onFrame(frame);
  }

  #onHello(hello: ServerFrame & { kind: "hello" }): void {
    this.#hello.clear();
    if (hello.protocol !== VERSION) throw new RealtimeError("protocol", `server speaks version ${hello.protocol} of the protocol`);
    this.#isOpen = true;
    this.#pulse.start(hello.keepalive_ms);
    const opener = this.#opener as LineReader;
    for (const { reader, token } of [...this.#readers.values()]) if (reader !== opener) this.#subscribe(reader, token);
    if (!this.#reads(opener)) return this.#unsub(hello.channel);
    const unwanted = hello.topics.filter((topic) => !opener.session.topics.includes(topic));
    if (unwanted.length > 0) this.#unsub(hello.channel, unwanted);
    this.#begin(opener, hello);
  }

  /** What is read must be what was wanted. */
  #begin(reader: LineReader, said: Beginning): void {
    const { channel, topics } = reader.session;
    const missing = topics.find((topic) => !said.topics.includes(topic));
    if (said.channel === channel && missing === undefined) {
      reader.session.begin(said.topics, said.cursor);
      return reader.onOpen(said.session);
    }
    if (said.channel === channel || !this.#readers.has(said.channel)) this.#unsub(said.channel);
    this.#refuse(
      reader,
      said.channel === channel
        ? new RealtimeError("forbidden", `token does not allow topic \`${missing}\` of channel \`${channel}\``)
        : new RealtimeError("wrong_channel", `token is for channel \`${said.channel}\`, not for \`${channel}\``),
    );
  }

  #onClose(code: number | undefined): void {
    if (this.#isOpen && code === 4401) this.#end({ error: new RealtimeError("bad_token", "session is over", undefined, true), wait: 0 });
    else if (this.#isOpen && (code === 1002 || code === 1007 || code === 1009)) {
      this.#end({ error: new RealtimeError("protocol", `server has closed the connection with ${code}`) });
    } else this.#lose("connection is gone");
  }

  #subscribe(reader: LineReader, { key }: Token): void {
    const { from, topics } = reader.session;
    this.#ask({ kind: "sub", token: key, from, topics }, {
      reader,
      onAnswer: (frame) => frame.kind === "subscribed" && this.#begin(reader, frame),
      onError: (error) => this.#refuse(reader, error),
    });
  }

  #unsub(channel: string, topics?: string[]): void {
    this.#send({ kind: "unsub", channel, topics });
  }

  #ask(frame: Ask, asked: Asked): void {
    this.#lastRef += 1;
    this.#asked.set(this.#lastRef, asked);
    this.#send({ ...frame, ref: this.#lastRef });
  }

  #refuse(reader: LineReader, error: RealtimeError): void {
    this.#forget(reader);
    reader.onRefused(error);
    if (this.#readers.size === 0) this.#lose("nobody reads", 1000);
  }

  #reads(reader: LineReader): boolean {
    return this.#readers.get(reader.session.channel)?.reader === reader;
  }

  #forget(reader: LineReader): boolean {
    if (!this.#reads(reader)) return false;
    this.#readers.delete(reader.session.channel);
    for (const [ref, asked] of this.#asked) if (asked.reader === reader) this.#asked.delete(ref);
    return true;
  }

  #send(frame: Ask): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #lose(message: string, code?: number): void {
    this.#end({ error: new RealtimeError("unreachable", message), isHandshake: !this.#isOpen }, code);
  }

  #end(down: Down, code?: number): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#pulse.stop();
    this.#hello.clear();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close(code);
    }
    this.#onGone(this);
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    for (const { reader } of readers) {
      // Only the opener's token was shown: others are not refused, and try at once.
      const isOther = down.isHandshake && reader !== this.#opener;
      reader.onDown(isOther ? { error: down.error, wait: 0 } : { wait: this.#wait, ...down });
    }
  }
}
