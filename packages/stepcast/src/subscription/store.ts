import type { Pool } from "../connection/pool.js";
import { createTimer } from "../connection/timer.js";
import type { TokenInput } from "../connection/token.js";
import { createContents, EMPTY, type GapState, kept, type MessagesState } from "../contents/contents.js";
import { isTerminal, NOBODY, type RunState, type RunStatus } from "../contents/run.js";
import { type ChannelInput, isRunsOwn, nameOf, topicsOf } from "../definition/channel.js";
import type { RealtimeError } from "../error.js";
import type { TopicMessage } from "../message.js";
import { compare } from "../protocol/cursor.js";
import { messagesOf } from "../protocol/session.js";
import { createReading, type Prefetched, type ReadingStatus, USUAL } from "./reading.js";

/** How long what nobody looks at any more is kept. */
const GC_MS = 5_000;
/** How often what was there before is shown, while it comes. */
const REPLAY_MS = 16;
/** Between the end of a run and that of its connection: what comes in the same breath is not lost. */
const LINGER_MS = 100;

/** How it is read unless somebody says otherwise. */
const DEFAULTS = {
  ...USUAL,
  from: undefined as string | undefined,
  key: undefined as string | undefined,
  apiBaseUrl: undefined as string | undefined,
  bufferInterval: 0,
  historyLimit: 100 as number | null,
  pauseOnHidden: true,
  autoCloseOnTerminal: true,
};

/** What is read, and how; two that are equal in all of it are one. */
export type StoreOptions = { readonly channel: ChannelInput; readonly topics: readonly string[] } & Readonly<typeof DEFAULTS>;

/** What a component is shown. It never changes; there is another one after each change. */
export interface StoreState {
  readonly connectionStatus: ReadingStatus;
  readonly runStatus: RunStatus;
  readonly isPaused: boolean;
  readonly pauseReason: "hidden" | "disabled" | null;
  readonly messages: MessagesState;
  readonly result: unknown;
  readonly error: RealtimeError | null;
  readonly gap: GapState | null;
  readonly isReplaying: boolean;
  readonly run: RunState;
  /** Forgets what has come; the reading goes on. */
  readonly reset: () => void;
}

/** What is shown when all of this is so. */
function stateOf(
  connectionStatus: ReadingStatus,
  isReplaying: boolean,
  messages: MessagesState,
  run: RunState,
  gap: GapState | null,
  error: RealtimeError | null,
  reset: () => void,
): StoreState {
  const isPaused = connectionStatus === "paused";
  const pauseReason = isPaused ? "hidden" : null;
  return { connectionStatus, runStatus: run.status, isPaused, pauseReason, messages, result: run.result, error, gap, isReplaying, run, reset };
}

/** Before anything. */
export const IDLE = stateOf("idle", false, EMPTY, NOBODY, null, null, () => {});

/** Who shows what is read. */
export interface Viewer {
  /** Told of each message, once. */
  onMessage(message: TopicMessage): void;
  onRollback(ids: string[]): void;
}

/**
 * What a channel has come to, shared by all who show it. It reads while one of them is active, and is forgotten some time after the last
 * one has gone.
 */
export interface Store {
  /** Where tokens come from: those who show it say it, the last one counts. */
  token?: TokenInput | undefined;
  readonly state: StoreState;
  /** What it began with, which a server has shown as well. */
  readonly initial: StoreState;
  /** Calls back after each change; gives a function that ends it. */
  subscribe(listener: () => void): () => void;
  /** Somebody is there, and it is read for them if they are active; gives a function that ends it. */
  view(viewer: Viewer, isActive: boolean): () => void;
}

/** What is shown while it is not known what to read. */
export const NOTHING: Store = { state: IDLE, initial: IDLE, subscribe: () => () => {}, view: () => () => {} };

/** How it is to be read; what is not said is as usual. */
export type HowToRead = { readonly [K in keyof typeof DEFAULTS]?: (typeof DEFAULTS)[K] | undefined } & { readonly initial?: Prefetched | null | undefined };

/** The one store of these options; on a server, where nothing is shared, one that reads nothing. */
export function storeOf(pool: Pool, channel: ChannelInput, topics: readonly string[], options: HowToRead): Store {
  const how = { ...DEFAULTS, from: isRunsOwn(channel) ? "start" : "mint" };
  for (const key in how) {
    const value = options[key as keyof typeof how];
    if (value !== undefined) how[key as "key"] = value as string;
  }
  const { initial } = options;
  const name = JSON.stringify([nameOf(channel), [...topics].sort(), how]);
  const create = () => createStore(pool, { channel, topics, ...how }, name, initial);
  if (typeof document === "undefined") return initial ? create() : NOTHING;
  return (pool.shared.get(name) as Store | undefined) ?? create();
}

function createStore(pool: Pool, options: StoreOptions, name: string, initial: Prefetched | null | undefined): Store {
  const { channel, from, historyLimit, bufferInterval, autoCloseOnTerminal } = options;
  const contents = createContents(topicsOf(channel) as Record<string, { text?: string }>, historyLimit);
  const listeners = new Set<() => void>();
  /** Who is there, and whether it is read for them. */
  const viewers = new Map<Viewer, boolean>();
  /** The newest message that was told, by topic. */
  const told = new Map<string, string>();
  const linger = createTimer();
  const forget = createTimer();
  let connectionError: RealtimeError | null = null;
  let messageError: RealtimeError | null = null;
  let scheduled: ReturnType<typeof setTimeout> | void;
  let isDone = false;

  const reading = createReading(pool, { ...options, from: initial || from === "mint" ? undefined : from, token: () => self.token }, {
    onChange(change) {
      const isNews = change.kind === "run" || change.topic === "$run";
      if (!isNews && change.kind !== "rollback") messagesOf(change).forEach(tell);
      const before = contents.run.status;
      const ids = contents.apply(change);
      if (ids[0]) call((viewer) => viewer.onRollback(ids));
      schedule();
      if (isNews && !reading.isReplaying) lookDone(before);
    },
    onStatus(status, error) {
      // A try that is under way is not yet better than the one before.
      if (error || status === "open" || isDone) connectionError = error;
      if (status === "open") contents.onOpen();
      commit();
    },
    onError(error) {
      messageError ??= error;
      schedule();
    },
    onReplaying: commit,
  });

  /** A run that ends while somebody watches has said everything; one that had ended before may be shown for as long as they like. */
  function lookDone(before: string): void {
    commit();
    const { status } = contents.run;
    if (!autoCloseOnTerminal || !isTerminal(status) || status === before) return;
    linger.set(LINGER_MS, () => {
      isDone = true;
      reading.stop();
    });
  }

  function tell(message: TopicMessage): void {
    const { topic, id } = message;
    const before = told.get(topic);
    if (before && compare(id, before) <= 0) return;
    told.set(topic, id);
    call((viewer) => viewer.onMessage(message));
  }

  /** What a callback throws is its page's to see, and no reason to lose what comes after. */
  function call(tell: (viewer: Viewer) => void): void {
    for (const viewer of [...viewers.keys()]) {
      try {
        tell(viewer);
      } catch (error) {
        setTimeout(() => {
          throw error;
        });
      }
    }
  }

  /** What has come is shown at once, or with what comes in the same while. */
  function schedule(): void {
    const wait = Math.max(bufferInterval, reading.isReplaying ? REPLAY_MS : 0);
    if (wait) scheduled ??= setTimeout(commit, wait);
    else commit();
  }

  function commit(): void {
    scheduled = clearTimeout(scheduled as number | undefined);
    const messages = contents.commit();
    const next = stateOf(reading.status, reading.isReplaying, messages, contents.run, contents.gap, connectionError ?? messageError, reset);
    const state = kept(self.state, next);
    if (state === self.state) return;
    self.state = state;
    for (const listener of [...listeners]) listener();
  }

  function reset(): void {
    contents.clear();
    messageError = null;
    if (reading.status === "open") contents.onOpen();
    commit();
  }

  const isActive = () => [...viewers.values()].includes(true);

  function forgetLater(): void {
    forget.set(GC_MS, () => {
      reading.stop();
      pool.shared.delete(name);
    });
  }

  const self: Store & { state: StoreState; initial: StoreState } = {
    state: { ...IDLE, reset },
    initial: IDLE,
    subscribe(listener: () => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    view(viewer: Viewer, isReading: boolean) {
      forget.clear();
      pool.shared.set(name, self);
      const isFirst = isReading && !isActive();
      viewers.set(viewer, isReading);
      if (isFirst && !isDone) reading.start();
      return () => {
        viewers.delete(viewer);
        if (viewers.size === 0) forgetLater();
        // Maybe to come back in a moment.
        setTimeout(() => {
          if (viewers.size > 0 && !isActive()) reading.stop();
        });
      };
    },
  };
  if (initial) reading.take(initial);
  commit();
  self.initial = self.state;
  if (typeof document !== "undefined") {
    pool.shared.set(name, self);
    forgetLater();
  }
  return self;
}
