import type { Pool } from "../connection/pool.js";
import { Timer } from "../connection/timer.js";
import type { TokenInput } from "../connection/token.js";
import { type ChannelInput, nameOf, topicsOf } from "../definition/channel.js";
import type { RealtimeError } from "../error.js";
import type { TopicMessage } from "../message.js";
import { Contents, type ContentsState, EMPTY, type GapState, type MessagesState } from "../contents/contents.js";
import { asRunStatus, isTerminal, type RunState, type RunStatus } from "../contents/run.js";
import { compare } from "../protocol/cursor.js";
import type { Change } from "../protocol/session.js";
import { Reading, type ReadingStatus } from "./reading.js";

/** How long what nobody looks at any more is kept. */
const GC_MS = 5_000;
/** How often what was there before is shown, while it comes. */
const REPLAY_MS = 16;
/** Between the end of a run and that of its connection: what comes in the same breath is not lost. */
const LINGER_MS = 100;

/** What is read, and how; two that are equal in all of it are one. */
export interface StoreOptions {
  readonly channel: ChannelInput;
  readonly topics: readonly string[];
  readonly from: string | undefined;
  readonly key: string | undefined;
  readonly apiBaseUrl: string | undefined;
  readonly bufferInterval: number;
  readonly validate: boolean;
  readonly historyLimit: number | null;
  readonly reconnect: boolean;
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  readonly pauseOnHidden: boolean;
  readonly autoCloseOnTerminal: boolean;
}

/** What a component is shown. It never changes; there is another one after each change. */
export interface StoreState {
  readonly connectionStatus: ReadingStatus | "paused";
  readonly runStatus: RunStatus;
  readonly isPaused: boolean;
  readonly pauseReason: "hidden" | "disabled" | null;
  readonly messages: MessagesState;
  readonly result: unknown;
  readonly error: RealtimeError | null;
  readonly gap: GapState | null;
  readonly isReplaying: boolean;
  readonly run: RunState;
}

/** Before anything. */
export const IDLE: StoreState = {
  connectionStatus: "idle",
  runStatus: "unknown",
  isPaused: false,
  pauseReason: null,
  messages: EMPTY.messages,
  result: undefined,
  error: null,
  gap: null,
  isReplaying: false,
  run: EMPTY.run,
};

/** Who is told of each message, once. */
export interface MessageListener {
  onMessage(message: TopicMessage): void;
  onRollback(ids: string[]): void;
}

/** The one store of these options. */
export function storeOf(pool: Pool, options: StoreOptions): Store {
  const { channel, topics, ...rest } = options;
  const name = JSON.stringify([nameOf(channel), [...topics].sort(), Object.entries(rest).sort()]);
  let store = pool.shared.get(name) as Store | undefined;
  if (!store) {
    store = new Store(pool, options, name);
    pool.shared.set(name, store);
  }
  return store;
}

/**
 * What a channel has come to, shared by all who show it. It reads while somebody is active, and is forgotten some time after the last one
 * has gone.
 */
export class Store {
  /** Where tokens come from: those who show it say it, the last one counts. */
  token: TokenInput | undefined;
  readonly #pool: Pool;
  readonly #options: StoreOptions;
  readonly #name: string;
  readonly #listeners = new Set<() => void>();
  readonly #messageListeners = new Set<MessageListener>();
  readonly #contents: Contents;
  readonly #reading: Reading;
  /** The newest message that was told, by topic. */
  readonly #told = new Map<string, string>();
  #state = IDLE;
  #status: ReadingStatus | "paused" = "idle";
  #connectionError: RealtimeError | null = null;
  #messageError: RealtimeError | null = null;
  #isReplaying = false;
  #isDone = false;
  #active = 0;
  readonly #commits: Timer;
  readonly #linger: Timer;
  readonly #gc: Timer;
  #endWake: (() => void) | undefined;

  constructor(pool: Pool, options: StoreOptions, name: string) {
    const { channel, historyLimit } = options;
    this.#pool = pool;
    this.#options = options;
    this.#name = name;
    [this.#commits, this.#linger, this.#gc] = [new Timer(pool.platform), new Timer(pool.platform), new Timer(pool.platform)];
    this.#contents = new Contents(topicsOf(channel) as Record<string, { text?: string }>, historyLimit);
    this.#reading = new Reading(pool, { ...options, token: () => this.token }, {
      onChange: (change) => this.#onChange(change),
      onStatus: (status, error) => this.#onStatus(status, error),
      onError: (error) => this.#onError(error),
      onReplaying: (isReplaying) => this.#onReplaying(isReplaying),
    });
    this.#forgetLater();
  }

  get state(): StoreState {
    return this.#state;
  }

  /** Calls back after each change; gives a function that ends it. */
  subscribe(listener: () => void): () => void {
    this.#keep();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      this.#rest();
    };
  }

  /** Tells of each message that comes from now on. */
  listen(listener: MessageListener): () => void {
    this.#messageListeners.add(listener);
    return () => void this.#messageListeners.delete(listener);
  }

  /** Reads; gives a function that ends it. */
  activate(): () => void {
    this.#keep();
    this.#active += 1;
    if (this.#active === 1) this.#begin();
    return () => {
      this.#active -= 1;
      this.#rest();
    };
  }

  /** Forgets what has come; the reading goes on. */
  reset(): void {
    this.#contents.clear();
    this.#messageError = null;
    if (this.#status === "open") this.#contents.onOpen();
    this.#commit();
  }

  #begin(): void {
    this.#endWake ??= this.#pool.platform.onWake(() => this.#onWake());
    if (this.#isDone) return;
    if (this.#isHidden()) this.#pause();
    else this.#reading.start();
  }

  #end(): void {
    this.#endWake?.();
    this.#endWake = undefined;
    this.#reading.stop();
  }

  /** Somebody is there. */
  #keep(): void {
    this.#gc.clear();
    this.#pool.shared.set(this.#name, this);
  }

  /** Somebody has gone, maybe to come back in a moment. */
  #rest(): void {
    if (this.#active > 0) return;
    if (this.#listeners.size === 0) this.#forgetLater();
    this.#pool.platform.setTimeout(() => {
      if (this.#active === 0 && this.#listeners.size > 0) this.#end();
    }, 0);
  }

  #forgetLater(): void {
    this.#gc.set(GC_MS, () => {
      this.#end();
      if (this.#pool.shared.get(this.#name) === this) this.#pool.shared.delete(this.#name);
    });
  }

  #isHidden(): boolean {
    return this.#options.pauseOnHidden && this.#pool.platform.isHidden();
  }

  #onWake(): void {
    if (this.#isDone || this.#active === 0) return;
    if (this.#isHidden()) this.#pause();
    else if (this.#status === "paused") this.#reading.start();
  }

  #pause(): void {
    this.#status = "paused";
    this.#reading.stop();
    this.#commit();
  }

  #onChange(change: Change): void {
    if (change.kind !== "run" && change.topic !== "$run") this.#tell(change);
    const before = this.#contents.state.run.status;
    const ids = this.#contents.apply(change);
    if (ids.length > 0) this.#call((listener) => listener.onRollback(ids));
    this.#schedule();
    const isNews = change.kind === "run" || change.topic === "$run";
    if (isNews && !this.#isReplaying) this.#lookDone(before);
  }

  /** A run that ends while somebody watches has said everything; one that had ended before may be shown for as long as they like. */
  #lookDone(before: string): void {
    const { status } = this.#contents.commit().run;
    this.#commit();
    if (!this.#options.autoCloseOnTerminal || !isTerminal(status) || status === before) return;
    this.#linger.set(LINGER_MS, () => {
      this.#isDone = true;
      this.#reading.stop();
    });
  }

  #tell(change: Exclude<Change, { kind: "run" }>): void {
    const messages = change.kind === "message" ? [change.message] : change.kind === "snapshot" ? change.messages : [];
    for (const message of messages) {
      const told = this.#told.get(message.topic);
      if (told !== undefined && compare(message.id, told) <= 0) continue;
      this.#told.set(message.topic, message.id);
      this.#call((listener) => listener.onMessage(message));
    }
  }

  /** What a callback throws is its page's to see, and no reason to lose what comes after. */
  #call(tell: (listener: MessageListener) => void): void {
    for (const listener of [...this.#messageListeners]) {
      try {
        tell(listener);
      } catch (error) {
        this.#pool.platform.setTimeout(() => {
          throw error;
        }, 0);
      }
    }
  }

  #onStatus(status: ReadingStatus, error: RealtimeError | null): void {
    if (this.#status === "paused" && status === "closed") return;
    this.#status = status;
    // A try that is under way is not yet better than the one before.
    if (error || status === "open" || this.#isDone) this.#connectionError = error;
    if (status === "open") this.#contents.onOpen();
    this.#commit();
  }

  #onError(error: RealtimeError): void {
    this.#messageError ??= error;
    this.#schedule();
  }

  #onReplaying(isReplaying: boolean): void {
    this.#isReplaying = isReplaying;
    this.#commit();
  }

  /** What has come is shown at once, or with what comes in the same while. */
  #schedule(): void {
    const { bufferInterval } = this.#options;
    const wait = this.#isReplaying ? Math.max(bufferInterval, REPLAY_MS) : bufferInterval;
    if (wait <= 0) return this.#commit();
    if (!this.#commits.isSet) this.#commits.set(wait, () => this.#commit());
  }

  #commit(): void {
    this.#commits.clear();
    const next = this.#next(this.#contents.commit());
    const keys = Object.keys(next) as (keyof StoreState)[];
    if (keys.every((key) => this.#state[key] === next[key])) return;
    this.#state = next;
    for (const listener of [...this.#listeners]) listener();
  }

  #next({ messages, run, gap }: ContentsState): StoreState {
    const isPaused = this.#status === "paused";
    return {
      connectionStatus: this.#status,
      runStatus: asRunStatus(run.status),
      isPaused,
      pauseReason: isPaused ? "hidden" : null,
      messages,
      result: run.result,
      error: this.#connectionError ?? this.#messageError,
      gap,
      isReplaying: this.#isReplaying,
      run,
    };
  }
}
