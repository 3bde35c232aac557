import { RealtimeError } from "../error.js";
import type { TopicMessage } from "../message.js";
import { compare, type Cursor, isCursor, later, ORIGIN } from "./cursor.js";
import type { DataFrame, GapReason, MessageFrame, Origin, Piece, Schemas } from "./frame.js";

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
  runId?: string | undefined;
  stepId?: string | undefined;
  attempt?: number | undefined;
  messages?: TopicMessage[] | undefined;
}

/** Something is gone. What is held of the topic after `keepTo` comes again, as far as it is left. */
export interface Gap {
  kind: "gap";
  topic: string;
  reason: GapReason;
  keepTo: Cursor;
  /** Up to where the reader had everything; absent when it had nothing. */
  heldTo?: Cursor | undefined;
}

/** The messages in a change. */
export function messagesOf(change: Change): readonly TopicMessage[] {
  return change.kind === "message" ? [change.message] : ((change as Rollback).messages ?? []);
}

/** Why somebody who may read this cannot be this reader. */
export function mismatch(
  { channel, topics }: Session,
  said: { readonly channel?: string | undefined; readonly topics?: readonly string[] | undefined },
): RealtimeError | undefined {
  if ((said.channel ?? channel) !== channel) {
    return new RealtimeError("wrong_channel", `token is for channel \`${said.channel}\`, not for \`${channel}\``);
  }
  const missing = topics.find((topic) => said.topics && !said.topics.includes(topic));
  return missing === undefined ? missing : new RealtimeError("forbidden", `token does not allow topic \`${missing}\``);
}

/**
 * The reading of one channel, over however many connections: the table "What a client keeps" of the protocol. Frames in, changes out. No
 * I/O, no clock.
 */
export interface Session {
  readonly channel: string;
  readonly topics: string[];
  readonly schemas: Schemas;
  /** Where the next connection begins: what comes twice then is dropped. */
  readonly from: string | undefined;
  /** Reads this as well, as it is in the token. */
  want(topic: string): void;
  /** These topics are read from here on, those that were not before. Some connections do not say where that is. */
  begin(topics: readonly string[], cursor?: Cursor): void;
  /** This topic is not read, until it begins anew. Gives whether it was. */
  leave(topic: string): boolean;
  /** What a frame says that is new. */
  on(frame: MessageFrame): Change | undefined;
}

export function createSession(channel: string, topics: readonly string[], first?: string, schemas: Schemas = {}): Session {
  const wanted = new Set(topics);
  /** Per topic, the cursor up to which everything is held; `undefined` takes the first that comes. */
  const held = new Map<string, Cursor | undefined>();

  /** What comes in the order of ids says of every topic that all before it was there. */
  function advances(topic: string, id: Cursor): boolean {
    const before = held.get(topic);
    for (const [topic, at] of held) held.set(topic, later(id, at));
    return held.get(topic) !== before;
  }

  const self: Session = {
    channel,
    schemas,
    get topics() {
      return [...wanted];
    },
    get from() {
      const all = [...held.values()];
      return all.includes(undefined) ? first : ((all as Cursor[]).sort(compare)[0] ?? first);
    },
    want: (topic) => void wanted.add(topic),
    begin(topics, cursor) {
      const { from } = self;
      cursor ??= from === "start" ? ORIGIN : isCursor(from) ? from : undefined;
      for (const topic of topics) if (wanted.has(topic)) held.set(topic, held.get(topic) ?? cursor);
    },
    leave: (topic) => held.delete(topic),
    on(frame) {
      if ((frame.channel ?? channel) !== channel) return undefined;
      if (frame.kind === "run") return { kind: "run", data: frame.data };
      const { topic } = frame;
      if (!held.has(topic)) return undefined;
      const heldTo = held.get(topic);
      const pieces = (all: Piece[]) => all.map((piece) => messageOf(channel, topic, piece, true));
      switch (frame.kind) {
        case "data":
          return advances(topic, frame.id) ? { kind: "message", topic, message: messageOf(channel, topic, frame) } : undefined;
        case "rollback": {
          const { id, after, data } = frame;
          if (!advances(topic, id)) return undefined;
          return { kind: "rollback", topic, id, after, ...originOf(frame), messages: data && pieces(data) };
        }
        case "snapshot": {
          // It says nothing of other topics: their messages before it may be still to come.
          const { id, data } = frame;
          held.set(topic, later(id, heldTo));
          return { kind: "snapshot", topic, id, messages: pieces(data) };
        }
        case "gap": {
          const { reason, keep_to: keepTo } = frame;
          held.set(topic, keepTo);
          return { kind: "gap", topic, reason, keepTo, heldTo };
        }
      }
    },
  };
  return self;
}

function messageOf(channel: string, topic: string, piece: Piece | DataFrame, isSnapshot?: true): TopicMessage {
  const { data, id, created_at, env_id: envId } = piece as DataFrame;
  return { kind: "data", channel, topic, data, id, createdAt: new Date(created_at), ...originOf(piece), envId, isSnapshot };
}

function originOf({ run_id: runId, step_id: stepId, attempt }: Origin) {
  return { runId, stepId, attempt };
}
