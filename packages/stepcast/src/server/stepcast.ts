import type { SubscriptionToken } from "../connection/token.js";
import { type ChannelInput, nameOf, type TopicName, type TopicRef } from "../definition/channel.js";
import { RealtimeError, refusalOf } from "../error.js";
import type { Message } from "../message.js";
import { subscribe, type SubscribeOptions, type Subscription } from "../subscription/subscribe.js";

/** Where the server is, and the keys to it. */
export interface StepcastOptions {
  /** Otherwise the variable `STEPCAST_URL`, otherwise where `stepcast dev` listens. */
  url?: string;
  /** Mints tokens and publishes. Otherwise the variable `STEPCAST_SIGNING_KEY`; `stepcast dev` needs none. */
  signingKey?: string;
  /** Sends events. Otherwise the variable `STEPCAST_EVENT_KEY`. */
  eventKey?: string;
  fetch?: (url: string, init?: RequestInit) => Promise<Response>;
}

/** Something that has happened. */
export interface EventInput<TData = unknown> {
  name: string;
  data?: TData;
  /** An event with an id that was there already starts nothing. */
  id?: string;
  /** When it happened, in milliseconds since 1970. */
  ts?: number;
}

/** What became of events. */
export interface Sent {
  /** Their ids, in order. */
  ids: string[];
  /** The runs that each of them has started; for `useRun`. */
  runs: string[][];
}

/** How a message is published. */
export interface PublishOptions {
  /** Answer only when the message is on disk. */
  durable?: boolean;
  /** A message with a key that was there already is not published again. */
  idempotencyKey?: string;
  /** The run that it is published for. */
  runId?: string;
  /** The step of the run. */
  stepId?: string;
  /** Which try of the step, from 1. */
  attempt?: number;
  /** The server's request in which a function publishes. When that request was lost, it is refused with `attempt_over`. */
  requestId?: string;
}

/** What a token is to allow. */
export interface TokenOptions<TChannel extends ChannelInput, TTopics extends readonly string[]> {
  channel: TChannel;
  topics: TTopics;
  /** Seconds in which a connection can be opened with it; 60 unless said. */
  lifetime?: number;
  /** Whether what was published before may be read; `true` unless said. */
  history?: boolean;
  /** Seconds that a connection may go on with it; an hour unless said. */
  session?: number;
}

/**
 * A server's client, for routes of Node: sends events, publishes, mints tokens for pages. Its keys must not reach a browser.
 *
 * @example
 * ```ts
 * const stepcast = new Stepcast({ url: "http://127.0.0.1:8288" });
 * await stepcast.send({ name: "app/generate", data: { runId } });
 * ```
 */
export class Stepcast {
  readonly #url: string;
  readonly #signingKey: string | undefined;
  readonly #eventKey: string;
  readonly #fetch: (url: string, init?: RequestInit) => Promise<Response>;

  constructor(options: StepcastOptions = {}) {
    const { url, signingKey, eventKey, fetch } = options;
    const { env = {} } = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process ?? {};
    this.#url = url ?? env["STEPCAST_URL"] ?? "http://127.0.0.1:8288";
    this.#signingKey = signingKey ?? env["STEPCAST_SIGNING_KEY"];
    this.#eventKey = eventKey ?? env["STEPCAST_EVENT_KEY"] ?? "dev";
    this.#fetch = fetch ?? ((url, init) => globalThis.fetch(url, init));
  }

  /** Sends events: all of them, or none. */
  async send(events: EventInput | EventInput[]): Promise<Sent> {
    const response = await this.#post(`/e/${encodeURIComponent(this.#eventKey)}`, JSON.stringify(events));
    const { ids, runs } = (await response.json()) as Sent;
    return { ids, runs };
  }

  /** Everything about channels. */
  readonly realtime = {
    /**
     * Publishes a message to a topic, held against its schema first; says where it is.
     *
     * @example
     * ```ts
     * const { id } = await stepcast.realtime.publish(pipeline({ runId }).status, { message: "Done!" });
     * ```
     */
    publish: async <TData>(topic: TopicRef<TData>, data: TData, options: PublishOptions = {}): Promise<{ id: string }> => {
      await fits(topic, data, "data");
      const [id = ""] = await this.#publish(topic, json(data), "application/json", options);
      return { id };
    },

    /**
     * Publishes many messages to a topic in one request, in order; none when one does not fit. Says where each is. With `durable` or an
     * `idempotencyKey` they are one commit, and can be sent again when the answer was lost: the key counts for each of them with its place.
     * Without, a server that has no room may stop in between, and says so. At most 10,000 messages and 4 MiB.
     *
     * @example
     * ```ts
     * await stepcast.realtime.publishAll(pipeline({ runId }).rows, rows);
     * ```
     */
    publishAll: async <TData>(topic: TopicRef<TData>, items: readonly TData[], options: PublishOptions = {}): Promise<{ ids: string[] }> => {
      await Promise.all(items.map((data, index) => fits(topic, data, `item ${index}`)));
      if (items.length === 0) return { ids: [] };
      return { ids: await this.#publish(topic, items.map(json).join("\n"), "application/x-ndjson", options) };
    },

    /** Mints a token to read topics of a channel. */
    token: async <const TChannel extends ChannelInput, const TTopics extends readonly TopicName<TChannel>[]>(
      options: TokenOptions<TChannel, TTopics>,
    ): Promise<SubscriptionToken<TChannel, [...TTopics]>> => {
      const { channel, topics, ...rest } = options;
      const response = await this.#post("/v1/realtime/token", JSON.stringify({ channel: nameOf(channel), topics, ...rest }));
      const { jwt } = (await response.json()) as { jwt: string };
      const token = { channel, topics: [...topics] as [...TTopics], key: jwt, apiBaseUrl: this.#url };
      // As JSON it is for a page, which needs no schemas.
      return Object.defineProperty(token, "toJSON", { value: () => ({ ...token, channel: nameOf(channel) }) });
    },

    /** Reads topics of a channel, with tokens that are minted as they are needed. */
    subscribe: <const TChannel extends ChannelInput, const TTopics extends readonly TopicName<TChannel>[]>(
      options: SubscribeOptions<TChannel, TTopics>,
      callback?: (message: Message<TChannel, TTopics[number]>) => unknown,
    ): Promise<Subscription<Message<TChannel, TTopics[number]>>> =>
      subscribe({ ...options, app: this, apiBaseUrl: options.apiBaseUrl ?? this.#url }, callback),
  };

  async #publish(topic: TopicRef<any>, body: string, type: string, options: PublishOptions): Promise<string[]> {
    if (topic.channel === "") throw new RealtimeError("bad_channel", "channel has no name; is a parameter of it missing?");
    const { durable, idempotencyKey, runId, stepId, attempt, requestId } = options;
    const query = new URLSearchParams({ v: "1", channel: topic.channel, topic: topic.topic });
    if (durable) query.set("durable", "true");
    if (runId !== undefined) query.set("run_id", runId);
    if (stepId !== undefined) query.set("step_id", stepId);
    if (attempt !== undefined) query.set("attempt", String(attempt));
    if (requestId !== undefined) query.set("request_id", requestId);
    const key = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
    const response = await this.#post(`/v1/realtime/publish?${query}`, body, { "content-type": type, ...key });
    return ((await response.json()) as { ids: string[] }).ids;
  }

  async #post(route: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
    const authorization = this.#signingKey === undefined ? {} : { authorization: `Bearer ${this.#signingKey}` };
    const url = new URL(route, this.#url).href;
    let response: Response;
    try {
      response = await this.#fetch(url, { method: "POST", body, headers: { "content-type": "application/json", ...authorization, ...headers } });
    } catch (cause) {
      throw new RealtimeError("unreachable", `server ${this.#url} cannot be reached`, cause);
    }
    if (!response.ok) throw await refusalOf(response);
    return response;
  }
}

/** JSON of one line; what is no JSON, such as `undefined`, is null. */
function json(data: unknown): string {
  return JSON.stringify(data) ?? "null";
}

/** Holds data against the schema of its topic. */
async function fits(topic: TopicRef<any>, data: unknown, what: string): Promise<void> {
  const { issues } = await topic.config.schema["~standard"].validate(data);
  if (!issues) return;
  const why = issues.map(({ message }: { message: string }) => message).join("; ");
  throw new RealtimeError("invalid_message", `${what} does not fit the schema of topic \`${topic.topic}\`: ${why}`, issues);
}
