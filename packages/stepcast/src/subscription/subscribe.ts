import type { Platform } from "../connection/platform.js";
import type { TokenInput } from "../connection/token.js";
import { type ChannelInput, nameOf, type TopicName, topicsOf } from "../definition/channel.js";
import { RealtimeError } from "../error.js";
import type { Message, TopicMessage } from "../message.js";
import type { Change } from "../protocol/session.js";
import { Fresh } from "./fresh.js";
import { createReading, type ReadingStatus, USUAL } from "./reading.js";
import { poolOf } from "./registry.js";
import { iterate, Sink } from "./sink.js";

/** Something that mints tokens: a `Stepcast`, or a client of npm `inngest`. */
export interface App {
  realtime: { token(args: { channel: any; topics: any }): Promise<{ key?: string | undefined; apiBaseUrl?: string }> };
}

/**
 * What has come to a channel, in full: messages, snapshots that take the place of what was held of a topic, rollbacks that make messages
 * of a failed attempt void, gaps, and where the run is.
 */
export type Update = Change;

/** What is to be read. */
export interface SubscribeOptions<TChannel extends ChannelInput, TTopics extends readonly TopicName<TChannel>[]> {
  channel: TChannel;
  topics: TTopics;
  /** The token, or a function that gets one whenever a connection needs it. */
  token?: TokenInput;
  /** The token's text. */
  key?: string | undefined;
  /** Mints tokens; for servers. */
  app?: App;
  /** Where the server is. Otherwise the token says it, or it is where the page came from. */
  apiBaseUrl?: string | undefined;
  /** Where to begin: `start`, `now`, `last:<n>` or after a message's `id`. Without it, where the channel was when the token was minted. */
  from?: string;
  /** Whether messages are held against the schemas of their topics; `true` unless said. */
  validate?: boolean;
  /** Told of everything, also of what cannot be said in messages. */
  onUpdate?: (update: Update) => void;
  /** Told of what went wrong, while the subscription goes on. Without it, and without `onUpdate`, the console is. */
  onError?: (error: unknown) => void;
  onStatus?: (status: ReadingStatus, error: RealtimeError | null) => void;
  /** Ends the subscription. */
  signal?: AbortSignal;
  reconnect?: boolean;
  reconnectMinMs?: number;
  reconnectMaxMs?: number;
  /** For tests, and environments that are unusual. */
  platform?: Platform;
}

/** A subscription that calls back. */
export interface CallbackSubscription {
  /** Ends it. */
  close(reason?: string): void;
  /** The same as `close`. */
  unsubscribe(reason?: string): void;
}

/** A subscription: a stream of messages, that can be iterated over everywhere. */
export interface Subscription<T> extends CallbackSubscription, Omit<ReadableStream<T>, typeof Symbol.asyncIterator | "values"> {
  [Symbol.asyncIterator](): AsyncGenerator<T, void>;
  /** Another stream of the messages from now on. */
  getJsonStream(): ReadableStream<T>;
  /** The messages from now on as server-sent events, for the body of a response. */
  getEncodedStream(): ReadableStream<Uint8Array>;
  /** Everything from now on. */
  updates(): AsyncGenerator<Update, void>;
}

type Callback<T> = (message: T) => unknown;
type Of<TChannel extends ChannelInput, TTopics extends readonly string[]> = Message<TChannel, TTopics[number]>;

/**
 * Reads topics of a channel. It is there when the promise is: a server that cannot be reached at the beginning is an error. After that it
 * comes back by itself, goes on after what it has given, and refreshes its token.
 *
 * Given as messages alone, nothing comes twice; that messages have become void or are gone is told to `onError`. `updates()` and
 * `onUpdate` say exactly what.
 *
 * @example
 * ```ts
 * const messages = await subscribe({ channel: pipeline({ runId }), topics: ["tokens"], token: () => fetchToken(runId) });
 * for await (const message of messages) console.log(message.data.token);
 * ```
 */
export function subscribe<const TChannel extends ChannelInput, const TTopics extends readonly TopicName<TChannel>[]>(
  options: SubscribeOptions<TChannel, TTopics> & { onMessage: Callback<Of<TChannel, TTopics>> },
): Promise<CallbackSubscription>;
export function subscribe<const TChannel extends ChannelInput, const TTopics extends readonly TopicName<TChannel>[]>(
  options: SubscribeOptions<TChannel, TTopics>,
  callback?: Callback<Of<TChannel, TTopics>>,
): Promise<Subscription<Of<TChannel, TTopics>>>;
export async function subscribe(
  options: SubscribeOptions<ChannelInput, readonly string[]> & { onMessage?: Callback<TopicMessage> },
  callback?: Callback<TopicMessage>,
): Promise<CallbackSubscription | Subscription<TopicMessage>> {
  const { channel, topics, onMessage, onUpdate, onError, onStatus, signal, platform } = options;
  if (nameOf(channel) === "") throw new RealtimeError("bad_channel", "channel has no name; is a parameter of it missing?");
  if (topics.length === 0) throw new RealtimeError("bad_topic", "no topics were given");
  const token = tokenOf(options);
  const { validate = USUAL.validate, reconnect = USUAL.reconnect } = options;
  const { reconnectMinMs = USUAL.reconnectMinMs, reconnectMaxMs = USUAL.reconnectMaxMs } = options;
  const messages = new Set<Sink<TopicMessage>>();
  const updates = new Set<Sink<Update>>();
  const fresh = new Fresh(topicsOf(channel) as Record<string, { text?: string }>);
  const report = onError ?? (onUpdate ? () => {} : (error: unknown) => console.warn(error));
  const call = <T>(callback: ((item: T) => unknown) | undefined, item: T) => {
    if (callback) Promise.resolve(item).then(callback).catch(report);
  };

  const opened = withResolvers<void>();
  const reading = createReading(poolOf(platform), { ...options, validate, reconnect, reconnectMinMs, reconnectMaxMs, token: () => token }, {
    onChange(change) {
      call(onUpdate, change);
      for (const sink of updates) sink.put(change);
      const { messages: news, error } = fresh.of(change);
      for (const message of news) {
        call(onMessage, message);
        call(callback, message);
        for (const sink of messages) sink.put(message);
      }
      if (error) report(error);
    },
    onStatus(status, error) {
      call(onStatus && (() => onStatus(status, error)), status);
      if (status === "open") opened.resolve();
      if (status === "error") opened.reject(error);
      if (!reading.isRunning()) for (const sink of [...messages, ...updates]) sink.end(status === "error" ? error : null);
    },
    onError: report,
    onReplaying() {},
  });

  const close = () => {
    reading.stop();
    signal?.removeEventListener("abort", onAbort);
  };
  const onAbort = () => {
    opened.reject(signal?.reason);
    close();
  };
  const sinkInto = <T>(sinks: Set<Sink<T>>) => {
    const sink: Sink<T> = new Sink<T>(() => sinks.delete(sink));
    sinks.add(sink);
    return sink.stream;
  };
  const stream = onMessage ? undefined : sinkInto(messages);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", onAbort);
  reading.start();
  try {
    await opened.promise;
  } catch (error) {
    close();
    throw error;
  }
  if (!stream) return { close, unsubscribe: close };
  return Object.assign(stream, {
    [Symbol.asyncIterator]: () => closing(iterate(stream), close),
    getJsonStream: () => sinkInto(messages),
    getEncodedStream: () => sinkInto(messages).pipeThrough(encoder()),
    updates: () => iterate(sinkInto(updates)),
    close,
    unsubscribe: close,
  }) as Subscription<TopicMessage>;
}

/** Where tokens come from that are given in one of these ways. */
export function tokenOf({ token, key, app, channel, topics }: Pick<SubscribeOptions<ChannelInput, readonly string[]>, "token" | "key" | "app" | "channel" | "topics">): TokenInput {
  if (token !== undefined) return token;
  if (key !== undefined) return key;
  if (!app) throw new RealtimeError("invalid_token", "no token was given: `token`, `key` or `app`");
  return async () => {
    const { key, apiBaseUrl } = await app.realtime.token({ channel, topics: [...topics] });
    return { key: key ?? "", ...(apiBaseUrl === undefined ? {} : { apiBaseUrl }) };
  };
}

/** Who stops iterating has had enough. */
async function* closing<T>(items: AsyncGenerator<T, void>, close: () => void): AsyncGenerator<T, void> {
  try {
    yield* items;
  } finally {
    close();
  }
}

function encoder(): TransformStream<unknown, Uint8Array> {
  const encoder = new TextEncoder();
  return new TransformStream({
    transform: (message, controller) => controller.enqueue(encoder.encode(`data: ${JSON.stringify(message)}\n\n`)),
  });
}

function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void; reject(reason: unknown): void } {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}
