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

interface Claims {
  url?: string;
  read?: { channel?: string; topics?: string[]; cursor?: string };
}

/** Looks at a token; what it says of itself is used where it can be read. When it is none, the next one may be good if there is one. */
export function readToken(value: unknown, hasNext = false): Token {
  try {
    const given = typeof value !== "string" ? value : /^\s*\{/.test(value) ? JSON.parse(value) : { key: value };
    const { key, apiBaseUrl, channel, topics } = given as SubscriptionToken & { key: string };
    const text = key.trim();
    if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) throw text;
    const { url, read } = claims(text);
    return {
      key: text,
      base: url ?? apiBaseUrl,
      channel: read?.channel ?? (nameOf(channel) || undefined),
      topics: read?.topics ?? topics,
      mintedAt: isCursor(read?.cursor) ? read.cursor : undefined,
    };
  } catch {
    const text = typeof value === "string" ? value.trim() : `{${Object.keys(Object(value))}}`;
    throw new RealtimeError("invalid_token", `no token: \`${text.slice(0, 40)}\``, undefined, hasNext);
  }
}

/** What our own tokens say; of those of others, nothing. */
function claims(key: string): Claims {
  try {
    const text = atob(key.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    return (JSON.parse(new TextDecoder().decode(bytes)) as Claims | null) ?? {};
  } catch {
    return {};
  }
}

/** Gets a token from where it comes from. */
export async function askToken(input: TokenInput | undefined): Promise<Token> {
  if (input === undefined) throw new RealtimeError("invalid_token", "no token was given");
  if (typeof input !== "function") return readToken(input);
  let value: unknown;
  try {
    value = await input();
  } catch (cause) {
    throw cause instanceof RealtimeError ? cause : new RealtimeError("token_failed", `no token: ${cause}`, cause);
  }
  // A page of login, or a proxy, may have answered.
  return readToken(value, true);
}
