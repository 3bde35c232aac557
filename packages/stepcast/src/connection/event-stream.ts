import { RealtimeError, refusalOf } from "../error.js";
import { parse } from "../protocol/frame.js";
import { address } from "./address.js";
import type { Line, LineReader } from "./line.js";
import type { Platform } from "./platform.js";
import type { Token } from "./token.js";

/** How long a stream may be silent: three of the server's comments. */
const SILENCE_MS = 45_000;

/** One channel as server-sent events, where WebSockets do not get through. */
export class EventStream implements Line {
  readonly #platform: Platform;
  readonly #reader: LineReader;
  readonly #end = new AbortController();
  #timer: unknown;
  #wait: number | undefined;

  constructor(platform: Platform, origin: string, reader: LineReader, token: Token) {
    this.#platform = platform;
    this.#reader = reader;
    void this.#read(address(origin, "sse", { token: token.key, from: reader.session.from }));
  }

  /** Tokens are shown to open a stream only; there are no sessions. */
  auth(): void {}

  detach(): void {
    this.#platform.clearTimeout(this.#timer);
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
      this.#expect();
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
      case "data":
      case "snapshot":
      case "rollback":
      case "gap":
      case "run":
        return this.#reader.onFrame(frame);
      default:
        return;
    }
  }

  #expect(): void {
    this.#platform.clearTimeout(this.#timer);
    this.#timer = this.#platform.setTimeout(() => this.#down("server does not answer"), SILENCE_MS);
  }

  #down(message: string, cause?: unknown): void {
    const error = new RealtimeError("unreachable", message, { cause, retryable: true });
    const wait = this.#wait === undefined ? {} : { wait: this.#wait };
    this.#over(() => this.#reader.onDown({ error, ...wait }));
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
