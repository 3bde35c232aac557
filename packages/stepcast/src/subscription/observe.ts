import type { Platform } from "../connection/platform.js";
import type { TokenInput } from "../connection/token.js";
import { type ChannelInput, nameOf, type TopicName } from "../definition/channel.js";
import { RealtimeError } from "../error.js";
import type { TopicMessage } from "../message.js";
import { poolOf } from "./registry.js";
import { type HowToRead, storeOf, type StoreState } from "./store.js";

/** What is to be read, and who is told besides. */
export type ObserveOptions<TChannel extends ChannelInput, TTopics extends readonly TopicName<TChannel>[]> = HowToRead & {
  readonly channel: TChannel;
  readonly topics: TTopics;
  readonly token: TokenInput;
  readonly onMessage?: (message: TopicMessage) => void;
  readonly onRollback?: (ids: string[]) => void;
  readonly platform?: Platform;
};

/**
 * What `useRealtime` shows, for pages without React: calls back with the state now and after each change. Readers of the same share it. Gives a function that ends it.
 *
 * @example
 * ```ts
 * const end = observe({ channel: "chat", topics: ["said"], token: getToken }, ({ messages }) => render(messages.all));
 * ```
 */
export function observe<const TChannel extends ChannelInput, const TTopics extends readonly TopicName<TChannel>[]>(
  options: ObserveOptions<TChannel, TTopics>,
  onState: (state: StoreState) => void,
): () => void {
  const { channel, topics, token, onMessage = () => {}, onRollback = () => {}, platform } = options;
  if (nameOf(channel) === "") throw new RealtimeError("bad_channel", "channel has no name; is a parameter of it missing?");
  if (topics.length === 0) throw new RealtimeError("bad_topic", "no topics were given");
  if (typeof document === "undefined") throw new RealtimeError("no_page", "there is no page here; use `subscribe`");
  const store = storeOf(poolOf(platform), channel, topics, options);
  store.token = token;
  const ends = [store.view({ onMessage, onRollback }, true), store.subscribe(() => onState(store.state))];
  onState(store.state);
  return () => ends.forEach((end) => end());
}
