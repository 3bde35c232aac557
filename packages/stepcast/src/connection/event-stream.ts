import { RealtimeError, refusalOf } from "../error.js";
import { type ChannelFrame, parse } from "../protocol/frame.js";
import { address } from "./address.js";
import type { Line, LineReader } from "./line.js";
import type { Platform } from "./platform.js";
import { Timer } from "./timer.js";
import type { Token } from "./token.js";

/** How long a stream may be silent: three of the server's comments. */
const SILENCE_MS = 45_000;

/** One channel as server-sent events, where WebSockets do not get through. */
export class EventStream implements Line {
  readonly #platform: Platform;
  readonly #reader: LineReader;
  readonly #end = new AbortController();
  readonly #silence: Timer;
  #wait: number | undefined;

  constructor(platform: Platform, origin: string, reader: LineReader, token: Token) {
    this.#platform = platform;
    this.#reader = reader;
    this.#silence = new Timer(platform);
    void this.#read(address(origin, "sse", { token: token.key, from: reader.session.from }));
  }

  /** Tokens are shown to open a stream only; there are no sessions. */
  auth(): void {}

  detach(): void {
    this.#silence.clear();
    this.#end.abort();
  }

  wake(): void {}

  async #read(url: string): Promise<void> {
    try {
      const response = await this.#platform.fetch(url, { signal: this.#end.signal, cache: "no-store" });
      if (this.#end.signal.aborted) return;
      if (!response.ok || !response.body) return this.#refuse(await refusalOf(response));
      this.#reader.session.beginUnsaid();
      this.#reader.onOpen();
      await this.#events(response.body);
      this.#down("stream has ended");
    } catch (cause) {
      if (cause instanceof RealtimeError) this.#over(() => this.#reader.onDown({ error: cause }));
      else this.#down("stream cannot be read", cause);
    }
  }

  async #events(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    let data: string[] = [];
    for (;;) {
      this.#silence.set(SILENCE_MS, () => this.#down("server does not answer"));
      const { done, value } = await reader.read();
      if (done || this.#end.signal.aborted) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
        if (line !== "" || data.length === 0) continue;
        this.#onEvent(data.join("\n"));
        if (this.#end.signal.aborted) return;
        data = [];
      }
    }
  }

  /** The frame says its kind itself. */
  #onEvent(text: string): void {
    const frame = parse(text);
    switch (frame.kind) {
      case "closing":
        this.#wait = frame.reconnect_ms;
        return;
      default:
        return this.#reader.onFrame(frame as ChannelFrame);
    }
  }

  #down(message: string, cause?: unknown): void {
    this.#over(() => this.#reader.onDown({ error: new RealtimeError("unreachable", message, cause), wait: this.#wait }));
  }

  #refuse(error: RealtimeError): void {
    this.#over(() => this.#reader.onRefused(error));
  }

  /** Once, and not after the reader has gone. */
  #over(tell: () => void): void {
    if (this.#end.signal.aborted) return;
    this.detach();
    tell();
  }
}
