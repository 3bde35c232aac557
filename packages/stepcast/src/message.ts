import type { ChannelInput, InferData, InferTopics } from "./definition/channel.js";

/** What is the same in every message. */
interface MessageBase {
  kind: "data";
  channel: string;
  /** Its place in the channel, `<epoch>-<offset>`; give it as `from` to go on after it. */
  id: string;
  createdAt: Date;
  /** The run that has published it. */
  runId?: string | undefined;
  fnId?: string | undefined;
  envId?: string | undefined;
  /** The step that has published it; absent when the function's body did. */
  stepId?: string | undefined;
  /** Which try of the step it was, from 1. */
  attempt?: number | undefined;
  /** The message stands for all that its topic has come to, or that one attempt has said, so far. */
  isSnapshot?: true | undefined;
}

/** A message of one topic. */
export type TopicMessage<TTopic extends string = string, TData = any> = MessageBase & { topic: TTopic; data: TData };

/**
 * A message of any of these topics of a channel; `topic` tells the type of `data`.
 *
 * @example
 * ```ts
 * function show(message: Message<typeof pipeline, "status" | "tokens">) {
 *   if (message.topic === "tokens") console.log(message.data.token);
 * }
 * ```
 */
export type Message<TChannel extends ChannelInput = ChannelInput, TTopics extends string = string> = {
  [K in TTopics]: TopicMessage<K, K extends keyof InferTopics<TChannel> ? InferData<InferTopics<TChannel>[K]> : any>;
}[TTopics];
