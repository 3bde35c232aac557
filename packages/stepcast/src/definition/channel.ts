import type { InferInput, InferOutput, StandardSchemaV1 } from "./schema.js";

/** How one topic of a channel is declared. */
export interface TopicConfig {
  /** What its payloads are. Any Standard Schema validator, or `staticSchema<T>()`. */
  readonly schema: StandardSchemaV1;
  /**
   * The field of the payload whose text is joined into `messages.text`. Without it, payloads are joined that are a string or have
   * exactly one field with a string.
   */
  readonly text?: string;
  /**
   * What a server's schema looked like when this was generated (`stepcast gen ts`). A server whose schema has become another one says so,
   * and the topic is not read: `error.code` is `outdated_client`.
   */
  readonly schemaHash?: string;
}

/** Topics by name. */
export type TopicsConfig = Readonly<Record<string, TopicConfig>>;

/**
 * One topic of one channel: where to publish. `channel.status` of a channel with a topic `status`. npm `inngest` 4.24 takes it for its own,
 * and the reverse.
 */
export interface TopicRef<TData = unknown> {
  channel: string;
  topic: string;
  config: { schema: StandardSchemaV1<TData, any> };
}

type TopicRefs<TTopics extends TopicsConfig> = {
  [K in string & keyof TTopics]: TopicRef<InferInput<TTopics[K]["schema"]>>;
};

/** A channel with its name: what can be published to and read. */
export type ChannelInstance<TName extends string = string, TTopics extends TopicsConfig = {}> = {
  name: TName;
  topics: TTopics;
} & TopicRefs<TTopics>;

/** A channel whose name depends on parameters. Call it to get the channel. */
export type ChannelDef<TArgs extends any[] = any[], TName extends string = string, TTopics extends TopicsConfig = TopicsConfig> = ((
  ...args: TArgs
) => ChannelInstance<TName, TTopics>) & {
  topics: TTopics;
  /** Only a type: the parameters. */
  $params: TArgs[0];
};

/** What is read: a channel, one of npm `inngest`, or a channel's name. */
export type ChannelInput = string | { name: string; topics: {} };

/** The declared topics of what is read. */
export type InferTopics<TChannel> = TChannel extends { topics: infer TTopics extends object } ? TTopics : Record<string, unknown>;

/** The names of the topics that may be read of a channel. */
export type TopicName<TChannel> = TChannel extends { topics: infer TTopics }
  ? [keyof TTopics] extends [never]
    ? string
    : Extract<keyof TTopics, string> | "$run" | "$step"
  : string;

/** What readers of a topic get. */
export type InferData<TTopic> = TTopic extends { schema: infer S } ? InferOutput<S> : any;

type Defined<TName, TTopics extends TopicsConfig> = (TName extends string
  ? ChannelInstance<TName, TTopics>
  : TName extends (...args: infer TArgs) => infer TResult
    ? ChannelDef<TArgs, TResult & string, TTopics>
    : never) & {
  /** Only a type: the payloads by topic. */
  $infer: { [K in keyof TTopics]: InferInput<TTopics[K]["schema"]> };
};

/** Names that a topic cannot have, as a channel's own properties stand beside its topics. */
const RESERVED = ["name", "topics", "then", "constructor", "__proto__"];

/** Where a channel keeps what its name was made from; not enumerable. */
const PARAMS = Symbol.for("stepcast.params");

/**
 * Declares a channel: its name, or how its name is made, and the types of its topics. Nothing is registered with the server.
 *
 * @example
 * ```ts
 * export const pipeline = realtime.channel({
 *   name: ({ runId }: { runId: string }) => `pipeline:${runId}`,
 *   topics: {
 *     status: { schema: z.object({ message: z.string() }) },
 *     tokens: { schema: staticSchema<{ token: string }>(), text: "token" },
 *   },
 * });
 * const channel = pipeline({ runId: "r1" });
 * ```
 */
export function channel<const TName extends string | ((...args: any[]) => string), const TTopics extends TopicsConfig>(options: {
  name: TName;
  topics: TTopics;
}): Defined<TName, TTopics> {
  const { name, topics } = options;
  for (const topic of Object.keys(topics)) {
    if (RESERVED.includes(topic) || topic.startsWith("$")) throw new TypeError(`topic \`${topic}\` has a reserved name`);
  }
  const at = (name: string) => {
    const refs = Object.entries(topics).map(([topic, config]) => [topic, { channel: name, topic, config }]);
    return { name, topics, ...Object.fromEntries(refs) };
  };
  if (typeof name === "string") return at(name) as Defined<TName, TTopics>;
  const define = (...args: unknown[]) => {
    const instance = at(isIncomplete(args) ? "" : name(...args));
    return Object.defineProperty(instance, PARAMS, { value: args[0] });
  };
  return Object.assign(define, { topics }) as unknown as Defined<TName, TTopics>;
}

/** Parameters that are still to come must not end up in a name as the word `undefined`. */
function isIncomplete(args: unknown[]): boolean {
  const values = args.flatMap((arg) => (typeof arg === "object" && arg !== null ? Object.values(arg) : [arg]));
  return values.some((value) => value === undefined || value === null);
}

/** The name of what is read; empty while a parameter of it is missing. */
export function nameOf(channel: ChannelInput | undefined): string {
  return typeof channel === "string" ? channel : (channel?.name ?? "");
}

/** The topics of what is read; none when it is only a name. */
export function topicsOf(channel: ChannelInput | undefined): Readonly<Record<string, Partial<TopicConfig>>> {
  return typeof channel === "object" ? channel.topics : {};
}

/** What these topics looked like when they were generated, by topic. */
export function schemasOf(channel: ChannelInput, topics: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(topics.map((topic) => [topic, topicsOf(channel)[topic]?.schemaHash]));
}

/** A run's id, or what stands for one in the parameters, is a segment of the name: the channel is that run's own. */
export function isRunsOwn(channel: ChannelInput | undefined): boolean {
  const { runId, run_id } = (channel as { [PARAMS]?: Record<string, unknown> } | undefined)?.[PARAMS] ?? {};
  const isId = (segment: string) => /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(segment) || segment === runId || segment === run_id;
  return nameOf(channel).split(/[:/]/).some(isId);
}

/**
 * Everything that declares channels.
 *
 * @example
 * ```ts
 * const chat = realtime.channel({ name: "chat", topics: { said: { schema: staticSchema<{ text: string }>() } } });
 * ```
 */
export const realtime = { channel } as const;
