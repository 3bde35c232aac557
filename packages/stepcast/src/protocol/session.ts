import type { TopicMessage } from "../message.js";
import { compare, type Cursor, isCursor, later, ORIGIN } from "./cursor.js";
import type { ChannelFrame, DataFrame, GapReason, Origin, Piece, RollbackFrame } from "./frame.js";

/** What a frame changes of what a reader holds. */
export type Change =
  | { kind: "message"; topic: string; message: TopicMessage }
  | { kind: "snapshot"; topic: string; id: Cursor; messages: TopicMessage[] }
  | Rollback
  | Gap
  | { kind: "run"; data: unknown };

/** Messages of exactly this origin, after `after` and before `id`, are void. `messages` is what the topic comes to now, if it folds. */
export interface Rollback {
  kind: "rollback";
  topic: string;
  id: Cursor;
  after: Cursor;
  runId?: string;
  stepId?: string;
  attempt?: number;
  messages?: TopicMessage[];
}

/** Something is gone. What is held of the topic after `keepTo` comes again, as far as it is left. */
export interface Gap {
  kind: "gap";
  topic: string;
  reason: GapReason;
  keepTo: Cursor;
  /** Up to where the reader had everything; absent when it had nothing. */
  heldTo?: Cursor;
}

/**
 * The reading of one channel, over however many connections: the table "What a client keeps" of the protocol. Frames in, changes out. No
 * I/O, no clock.
 */
export class Session {
  readonly channel: string;
  readonly #from: string | undefined;
  #wanted: Set<string>;
  /** Per topic, the cursor up to which everything is held; `undefined` takes the first that comes. */
  readonly #held = new Map<string, Cursor | undefined>();

  constructor(channel: string, topics: readonly string[], from?: string) {
    this.channel = channel;
    this.#wanted = new Set(topics);
    this.#from = from;
  }

  get topics(): string[] {
    return [...this.#wanted];
  }

  /** Reads these as well, as they are in the token. */
  want(topics: readonly string[]): void {
    for (const topic of topics) this.#wanted.add(topic);
  }

  /** Where the next connection begins: what comes twice then is dropped. */
  get from(): string | undefined {
    const held = [...this.#held.values()];
    if (held.length === 0 || held.includes(undefined)) return this.#from;
    return (held as Cursor[]).reduce((least, cursor) => (compare(cursor, least) < 0 ? cursor : least));
  }

  /** These topics are read from here on, those that were not before. */
  begin(topics: readonly string[], cursor: Cursor): void {
    for (const topic of topics) {
      if (this.#wanted.has(topic) && this.#held.get(topic) === undefined) this.#held.set(topic, cursor);
    }
  }

  /** Reading begins on a connection that does not say where. */
  beginUnsaid(): void {
    const from = this.from;
    const cursor = from === "start" ? ORIGIN : isCursor(from) ? from : undefined;
    for (const topic of this.#wanted) this.#held.set(topic, this.#held.get(topic) ?? cursor);
  }

  /** Only these topics are read any more. */
  retain(topics: readonly string[]): void {
    for (const topic of this.#held.keys()) if (!topics.includes(topic)) this.#held.delete(topic);
  }

  /** Whether everything up to there is held. */
  hasAllTo(cursor: Cursor): boolean {
    const held = [...this.#held.values()];
    return held.length > 0 && held.every((at) => at !== undefined && compare(at, cursor) >= 0);
  }

  /** The cursors up to which everything is held, by topic. */
  get held(): Record<string, Cursor | undefined> {
    return Object.fromEntries(this.#held);
  }

  /** What a frame says that is new. */
  on(frame: ChannelFrame): Change | undefined {
    if (frame.kind === "run") return frame.channel ? this.#ours(frame.channel, frame) : { kind: "run", data: frame.data };
    if (frame.channel !== this.channel || !this.#held.has(frame.topic)) return undefined;
    const { topic } = frame;
    const held = this.#held.get(topic);
    switch (frame.kind) {
      case "data":
        return this.#advances(topic, frame.id) ? { kind: "message", topic, message: message(this.channel, topic, frame) } : undefined;
      case "rollback":
        return this.#advances(topic, frame.id) ? this.#rollback(frame) : undefined;
      case "snapshot": {
        // It says nothing of other topics: their messages before it may be still to come.
        this.#held.set(topic, held === undefined ? frame.id : later(frame.id, held));
        return { kind: "snapshot", topic, id: frame.id, messages: this.#pieces(topic, frame.data) };
      }
      case "gap": {
        this.#held.set(topic, frame.keep_to);
        const { reason, keep_to: keepTo } = frame;
        return { kind: "gap", topic, reason, keepTo, ...(held === undefined ? {} : { heldTo: held }) };
      }
    }
  }

  #ours(channel: string, frame: { data: unknown }): Change | undefined {
    return channel === this.channel ? { kind: "run", data: frame.data } : undefined;
  }

  /** What comes in the order of ids says of every topic that all before it was there. */
  #advances(topic: string, id: Cursor): boolean {
    const before = this.#held.get(topic);
    for (const [topic, held] of this.#held) this.#held.set(topic, held === undefined ? id : later(id, held));
    return before === undefined || compare(id, before) > 0;
  }

  #rollback(frame: RollbackFrame): Change {
    const { topic, id, after, data } = frame;
    const messages = data && { messages: this.#pieces(topic, data) };
    return { kind: "rollback", topic, id, after, ...origin(frame), ...messages };
  }

  #pieces(topic: string, pieces: Piece[]): TopicMessage[] {
    return pieces.map((piece) => ({ ...message(this.channel, topic, piece), isSnapshot: true }));
  }
}

function message(channel: string, topic: string, frame: Piece | DataFrame): TopicMessage {
  const envId = "env_id" in frame && frame.env_id ? { envId: frame.env_id } : {};
  const createdAt = new Date(frame.created_at);
  return { kind: "data", channel, topic, data: frame.data, id: frame.id, createdAt, ...origin(frame), ...envId };
}

function origin({ run_id, step_id, attempt }: Origin): { runId?: string; stepId?: string; attempt?: number } {
  return {
    ...(run_id === undefined ? {} : { runId: run_id }),
    ...(step_id === undefined ? {} : { stepId: step_id }),
    ...(attempt === undefined ? {} : { attempt }),
  };
}
