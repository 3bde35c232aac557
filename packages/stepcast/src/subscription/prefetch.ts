import { address } from "../connection/address.js";
import { askToken, type TokenInput } from "../connection/token.js";
import { type ChannelInput, isRunsOwn, nameOf, schemasOf, type TopicName } from "../definition/channel.js";
import { RealtimeError, refusalOf } from "../error.js";
import { isCursor } from "../protocol/cursor.js";
import type { Prefetched } from "./reading.js";
import { type App, tokenOf } from "./subscribe.js";

/** Frames that a page is given at most. */
const MOST = 1_000;

/** What is to be read beforehand. */
export interface PrefetchOptions<TChannel extends ChannelInput, TTopics extends readonly TopicName<TChannel>[]> {
  channel: TChannel;
  topics: TTopics;
  /** The token, or a function that gets one. */
  token?: TokenInput;
  /** Mints the token. */
  app?: App;
  /** Where the server is. Otherwise the token says it. */
  apiBaseUrl?: string | undefined;
  /** Where to begin, as with `useRealtime`; a run's own channel at its start, others with `last:100`, unless said. */
  from?: string;
  fetch?: (url: string, init?: RequestInit) => Promise<Response>;
}

/**
 * Reads what a channel has come to by now, on the server that renders a page. Give it to `useRealtime` as `initial`: it is in the HTML, and
 * the page goes on after it. Of more than 1,000 messages, the page reads the rest by itself.
 *
 * @example
 * ```tsx
 * const initial = await prefetch({ app: stepcast, channel: pipeline({ runId }), topics: ["status"] });
 * return <Pipeline runId={runId} initial={initial} />;
 * ```
 */
export async function prefetch<const TChannel extends ChannelInput, const TTopics extends readonly TopicName<TChannel>[]>(
  options: PrefetchOptions<TChannel, TTopics>,
): Promise<Prefetched> {
  const { channel, topics, fetch = (url, init) => globalThis.fetch(url, init) } = options;
  const token = await askToken(tokenOf(options));
  const base = options.apiBaseUrl ?? token.base;
  if (base === undefined) throw new RealtimeError("no_server", "no address of the server; give `apiBaseUrl`");
  const { origin } = new URL(base);
  let from = options.from ?? (isRunsOwn(channel) ? "start" : "last:100");
  const frames: unknown[] = [];
  for (;;) {
    const session = { channel: nameOf(channel), topics, schemas: schemasOf(channel, topics), from: from === "mint" ? undefined : from };
    const reader = { origin, token, session };
    const response = await fetch(address(reader, `messages?wait=0&limit=${MOST}&`), { cache: "no-store" });
    if (!response.ok) throw await refusalOf(response);
    const answer = (await response.json()) as Prefetched;
    frames.push(...answer.frames);
    const { cursor } = answer;
    if (cursor === from || (answer.frames.length === 0 && isCursor(from)) || frames.length >= MOST) return { cursor, frames };
    from = cursor;
  }
}
