import { type ChannelInput, nameOf } from "../definition/channel.js";
import { RealtimeError } from "../error.js";
import { type Cursor, isCursor } from "../protocol/cursor.js";

/** What a browser needs to read a channel. */
export interface ClientSubscriptionToken {
  key: string;
  apiBaseUrl?: string;
}

/** A token with what it is for. */
export interface SubscriptionToken<TChannel extends ChannelInput = ChannelInput, TTopics extends string[] = string[]> {
  channel: TChannel;
  topics: TTopics;
  key?: string | undefined;
  apiBaseUrl?: string;
}

/** What a token may be given as: its text, or text that is a token object as JSON. */
export type TokenValue = string | ClientSubscriptionToken | SubscriptionToken<any, any>;

/** A token, or a function that gets one whenever a connection needs it. */
export type TokenInput = TokenValue | (() => TokenValue | Promise<TokenValue>);

/** A token that was looked at. */
export interface Token {
  readonly key: string;
  /** Where the server is, as far as the token knows. */
  readonly base: string | undefined;
  readonly channel: string | undefined;
  readonly topics: readonly string[] | undefined;
  /** Where the channel was when it was minted. */
  readonly mintedAt: Cursor | undefined;
}

/** Looks at a token; what it says of itself is used where it can be read. */
export function readToken(value: unknown): Token {
  if (typeof value === "string") {
    const text = value.trim();
    if (!text.startsWith("{")) return withClaims(text, {});
    try {
      value = JSON.parse(text);
    } catch {
      throw invalid(text);
    }
  }
  const given = value as Partial<SubscriptionToken> | null | undefined;
  if (typeof given !== "object" || given === null || typeof given.key !== "string") throw invalid(value);
  return withClaims(given.key.trim(), given);
}

function withClaims(key: string, given: Partial<SubscriptionToken>): Token {
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(key)) throw invalid(key);
  const { url, read } = claims(key);
  const name = nameOf(given.channel) || undefined;
  return {
    key,
    base: url ?? given.apiBaseUrl,
    channel: read?.channel ?? name,
    topics: read?.topics ?? given.topics,
    mintedAt: isCursor(read?.cursor) ? read.cursor : undefined,
  };
}

interface Claims {
  url?: string;
  read?: { channel?: string; topics?: string[]; cursor?: string };
}

/** What our own tokens say; of those of others, nothing. */
function claims(key: string): Claims {
  try {
    const bytes = atob((key.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    const text = new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0)));
    return (JSON.parse(text) as Claims | null) ?? {};
  } catch {
    return {};
  }
}

function invalid(value: unknown): RealtimeError {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return new RealtimeError("invalid_token", `token is none: \`${text.slice(0, 40)}\``);
}

/** Where a reader's tokens come from. One is asked for at a time. */
export class Tokens {
  readonly #input: () => TokenInput | undefined;
  #asking: Promise<Token> | undefined;

  constructor(input: () => TokenInput | undefined) {
    this.#input = input;
  }

  /** Whether another one can be had. */
  get canRefresh(): boolean {
    return typeof this.#input() === "function";
  }

  get(): Promise<Token> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(): Promise<Token> {
    const input = this.#input();
    if (input === undefined) throw new RealtimeError("invalid_token", "no token was given");
    if (typeof input !== "function") return readToken(input);
    let value: unknown;
    try {
      value = await input();
    } catch (cause) {
      if (cause instanceof RealtimeError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new RealtimeError("token_failed", `token cannot be had: ${why}`, cause);
    }
    try {
      return readToken(value);
    } catch (cause) {
      // The next one may be good: a page of login, or a proxy, has answered.
      throw new RealtimeError("invalid_token", (cause as Error).message, undefined, true);
    }
  }
}
