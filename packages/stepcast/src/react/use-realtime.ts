import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

import type { SubscriptionToken, TokenInput } from "../connection/token.js";
import { type ChannelInput, isRunsOwn, nameOf, type TopicName } from "../definition/channel.js";
import type { Message } from "../message.js";
import { IDLE, type Store, storeOf, type StoreState } from "../subscription/store.js";
import { useSetting } from "./provider.js";
import type { UseRealtimeResult } from "./result.js";
import { Tracker } from "./tracker.js";

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
  const view = useView(store, enabled);
  const reset = useMemo(() => () => store?.reset(), [store]);
  const tracker = useMemo(() => new Tracker(), [store]);
  const shown = useRef(IDLE);
  const selection = useRef<Selection | undefined>(undefined);

  const read = () => {
    const state = view();
    if (!select) return state;
    const last = selection.current;
    if (last?.of === state && last.by === select) return last.as;
    const value = select({ ...state, reset } as never);
    const as = last && isEqual(last.as.value, value) ? last.as : { value };
    selection.current = { of: state, by: select, as };
    return as;
  };
  const subscribe = useMemo(
    () => (onChange: () => void) => store?.subscribe(() => (select || tracker.isChanged(shown.current, view())) && onChange()) ?? (() => {}),
    [store, view, tracker, select === undefined],
  );
  const idle = useMemo(() => (select ? { value: select({ ...IDLE, reset } as never) } : IDLE), [store, select === undefined]);
  const value = useSyncExternalStore(subscribe, read, () => idle);

  useEffect(() => {
    if (!select) shown.current = value as StoreState;
  });
  useReading(store, options, enabled);
  return select ? (value as { value: unknown }).value : tracker.result(value as StoreState, reset);
}

/** What was selected, of what and by what. */
interface Selection {
  readonly of: StoreState;
  readonly by: unknown;
  readonly as: { readonly value: unknown };
}

/** The store of these options; none while it is not known what to read, and none on a server. */
function useStore(options: UseRealtimeOptions<any, any, any>): Store | undefined {
  const setting = useSetting();
  const { token } = options;
  const full = typeof token === "object" ? (token as Partial<SubscriptionToken>) : {};
  const channel: ChannelInput | undefined = options.channel ?? full.channel;
  const topics: readonly string[] = options.topics ?? full.topics ?? [];
  if (typeof document === "undefined" || nameOf(channel) === "" || topics.length === 0 || !channel) return undefined;
  const from = options.from ?? (isRunsOwn(channel) ? "start" : "mint");
  return storeOf(setting.pool, {
    channel,
    topics,
    from: from === "mint" ? undefined : from,
    key: options.key,
    apiBaseUrl: options.apiBaseUrl ?? setting.apiBaseUrl,
    bufferInterval: options.bufferInterval ?? 0,
    validate: options.validate ?? true,
    historyLimit: options.historyLimit === undefined ? 100 : options.historyLimit,
    reconnect: options.reconnect ?? true,
    reconnectMinMs: options.reconnectMinMs ?? 250,
    reconnectMaxMs: options.reconnectMaxMs ?? 5_000,
    pauseOnHidden: options.pauseOnHidden ?? true,
    autoCloseOnTerminal: options.autoCloseOnTerminal ?? true,
  });
}

/** The store's state as this component may see it. */
function useView(store: Store | undefined, enabled: boolean): () => StoreState {
  return useMemo(() => {
    let seen: { state: StoreState; as: StoreState } | undefined;
    return () => {
      const state = store?.state ?? IDLE;
      if (enabled) return state;
      if (seen?.state !== state) {
        seen = { state, as: { ...state, connectionStatus: "paused", isPaused: true, pauseReason: "disabled" } };
      }
      return seen.as;
    };
  }, [store, enabled]);
}

/** Reads while the component is there. */
function useReading(store: Store | undefined, options: UseRealtimeOptions<any, any, any>, enabled: boolean): void {
  const setting = useSetting();
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
    const { token, channel, topics = [] } = options;
    const { token: getToken } = setting;
    if (store) store.token = token ?? (getToken && (() => getToken({ channel: nameOf(channel), topics })));
  });
  useEffect(
    () =>
      store?.listen({
        onMessage: (message) => latest.current.onMessage?.(message as never),
        onRollback: (ids) => latest.current.onRollback?.(ids),
      }),
    [store],
  );
  useEffect(() => (enabled ? store?.activate() : undefined), [store, enabled]);
}
