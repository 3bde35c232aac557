import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

import type { SubscriptionToken, TokenInput } from "../connection/token.js";
import { type ChannelInput, nameOf, type TopicName } from "../definition/channel.js";
import type { Message } from "../message.js";
import type { Prefetched } from "../subscription/reading.js";
import { IDLE, NOTHING, type Store, storeOf, type StoreState } from "../subscription/store.js";
import { useSetting } from "./provider.js";
import type { UseRealtimeResult } from "./result.js";
import { createTracker } from "./tracker.js";

/** What is to be read, and how. */
export interface UseRealtimeOptions<
  TChannel extends ChannelInput = ChannelInput,
  TTopics extends readonly string[] | undefined = readonly string[] | undefined,
  TSelection = unknown,
> {
  /** What to read. While it is undefined, or a parameter of it is, nothing is read. */
  channel?: TChannel | undefined;
  /** Which topics; while there are none, nothing is read. */
  topics?: TTopics;
  /** A token, or a function that gets one whenever a connection needs it; it need not be memoized. */
  token?: TokenInput | undefined;
  /** Change it to begin anew. */
  key?: string;
  /** `false` pauses. */
  enabled?: boolean;
  /** Show changes at most every so many milliseconds; 0, which is at once, unless said. */
  bufferInterval?: number;
  /** Hold messages against the schemas of their topics; `true` unless said. */
  validate?: boolean;
  /** How many messages `messages.all` keeps, the newest: 100 unless said; `null` as many as fit into 16 MiB. */
  historyLimit?: number | null;
  /** Where the server is. Otherwise the token says it, or it is where the page came from. */
  apiBaseUrl?: string | undefined;
  /** Come back when the connection breaks; `true` unless said. */
  reconnect?: boolean;
  /** The first wait before it comes back; 250 ms unless said. */
  reconnectMinMs?: number;
  /** The longest one; 5,000 ms unless said. */
  reconnectMaxMs?: number;
  /** Read nothing while the page is hidden, and what was missed when it is shown again; `true` unless said. */
  pauseOnHidden?: boolean;
  /** End the connection when the run ends; `true` unless said. */
  autoCloseOnTerminal?: boolean;
  /**
   * Where to begin: `start`, `now`, `last:<n>`, after a message's `id`, or `mint`: where the channel was when the token was minted. Unless
   * said, a run's own channel is read from its start, others as with `mint`.
   */
  from?: string;
  /** What `prefetch` has read on the server that has rendered the page: shown at once, and gone on after. */
  initial?: Prefetched | null | undefined;
  /** Called for each message once, outside of rendering. */
  onMessage?: (message: Message<TChannel, TTopics extends readonly (infer K extends string)[] ? K : string>) => void;
  /** Called with the ids of messages that a failed attempt, or a gap, has taken away. */
  onRollback?: (ids: string[]) => void;
  /** What of the result the component needs; it renders again when that has changed. */
  select?: (result: UseRealtimeResult<TChannel, TTopics>) => TSelection;
  /** When two selections are the same; `Object.is` unless said. */
  isEqual?: (before: TSelection, after: TSelection) => boolean;
}

/**
 * Reads topics of a channel while the component is there: what was published before as far as `from` says, then what comes. What a failed
 * attempt has said is taken back, a connection that breaks comes back without a loss, tokens are refreshed.
 *
 * @example
 * ```tsx
 * const { connectionStatus, messages } = useRealtime({
 *   channel: pipeline({ runId }),
 *   topics: ["status", "tokens"],
 *   token: () => fetch(`/api/realtime-token?runId=${runId}`).then((answer) => answer.text()),
 * });
 * return <p>{messages.text.tokens}</p>;
 * ```
 */
export function useRealtime<TSelection, TChannel extends ChannelInput, const TTopics extends readonly TopicName<TChannel>[] | undefined>(
  options: UseRealtimeOptions<TChannel, TTopics, TSelection> & { select: (result: UseRealtimeResult<TChannel, TTopics>) => TSelection },
): TSelection;
export function useRealtime<
  TChannel extends ChannelInput = ChannelInput,
  const TTopics extends readonly TopicName<TChannel>[] | undefined = readonly TopicName<TChannel>[] | undefined,
>(options: UseRealtimeOptions<TChannel, TTopics>): UseRealtimeResult<TChannel, TTopics>;
export function useRealtime(options: UseRealtimeOptions<any, any, any>): unknown {
  const { enabled = true, select, isEqual = Object.is } = options;
  const store = useStore(options);
  const tracker = useMemo(createTracker, [store]);
  const shown = useRef(IDLE);
  const chosen = useRef<Chosen>(undefined);

  /** What of the state the component is to see; the same while that is unchanged. */
  const choose = (of: StoreState): unknown => {
    const last = chosen.current;
    if (last?.of === of && last.by === select && last.enabled === enabled) return last.value;
    const state = enabled ? of : { ...of, connectionStatus: "paused", isPaused: true, pauseReason: "disabled" };
    const value = select ? select(state as never) : state;
    chosen.current = { of, by: select, enabled, value: last && isEqual(last.value, value) ? last.value : value };
    return chosen.current.value;
  };
  const read = () => choose(store.state);
  const subscribe = useMemo(
    () => (onChange: () => void) => store.subscribe(() => (select || tracker.isChanged(shown.current, read() as StoreState)) && onChange()),
    [store, enabled, !select],
  );
  const value = useSyncExternalStore(subscribe, read, () => choose(store.initial));

  useEffect(() => {
    if (!select) shown.current = value as StoreState;
  });
  return select ? value : tracker.watch(value as StoreState);
}

/** What was chosen, of what and by what. */
interface Chosen {
  readonly of: StoreState;
  readonly by: unknown;
  readonly enabled: boolean;
  readonly value: unknown;
}

/** The store of these options, which reads while the component is there; nothing while it is not known what to read, and on a server. */
function useStore(options: UseRealtimeOptions<any, any, any>): Store {
  const setting = useSetting();
  const { enabled = true, token, apiBaseUrl = setting.apiBaseUrl } = options;
  const full = typeof token === "object" ? (token as Partial<SubscriptionToken>) : {};
  const { channel = full.channel, topics = full.topics ?? [] }: { channel?: ChannelInput; topics?: readonly string[] } = options;
  const isKnown = channel && nameOf(channel) && topics.length > 0;
  const store = isKnown ? storeOf(setting.pool, channel, topics, { ...options, apiBaseUrl }) : NOTHING;

  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
    const { token: getToken } = setting;
    store.token = token ?? (getToken && (() => getToken({ channel: nameOf(channel), topics })));
  });
  useEffect(() => {
    const onMessage = (message: unknown) => latest.current.onMessage?.(message as never);
    return store.view({ onMessage, onRollback: (ids) => latest.current.onRollback?.(ids) }, enabled);
  }, [store, enabled]);
  return store;
}
