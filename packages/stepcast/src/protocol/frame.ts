import type { Cursor } from "./cursor.js";

/** Who has published: run, step and which try. */
export interface Origin {
  run_id?: string;
  step_id?: string;
  attempt?: number;
}

/** One message inside of a snapshot. */
export interface Piece extends Origin {
  data: unknown;
  created_at: string;
  id: Cursor;
}

export interface DataFrame extends Piece {
  kind: "data";
  channel: string;
  topic: string;
  env_id?: string;
}

export interface SnapshotFrame {
  kind: "snapshot";
  channel: string;
  topic: string;
  id: Cursor;
  data: Piece[];
}

export interface RollbackFrame extends Origin {
  kind: "rollback";
  channel: string;
  topic: string;
  created_at: string;
  id: Cursor;
  after: Cursor;
  data?: Piece[];
}

export interface GapFrame {
  kind: "gap";
  channel: string;
  topic: string;
  keep_to: Cursor;
  reason: GapReason;
}

/** Why something is gone. */
export type GapReason = "trimmed" | "crashed" | "unknown_epoch" | "not_kept" | (string & {});

/** Where a run is, on connections that npm `inngest` shares. */
export interface RunFrame {
  kind: "run";
  channel?: string;
  data: unknown;
}

/** Topics that are not read: they have other schemas than the client takes them for. */
export interface OutdatedFrame {
  kind: "outdated";
  channel: string;
  topics: readonly string[];
}

/** What was said in a channel. */
export type MessageFrame = DataFrame | SnapshotFrame | RollbackFrame | GapFrame | RunFrame;

/** What has come to a channel. */
export type ChannelFrame = MessageFrame | OutdatedFrame;

export type Ref = number | string;

interface Hello {
  kind: "hello";
  protocol: number;
  keepalive_ms: number;
  channel: string;
  topics: string[];
  cursor: Cursor;
  session: number;
  outdated?: string[];
}

type Answer =
  | { kind: "subscribed"; ref?: Ref; channel: string; topics: string[]; cursor: Cursor; session: number; outdated?: string[] }
  | { kind: "unsubscribed"; ref?: Ref; channel: string; topics: string[] }
  | { kind: "authenticated"; ref?: Ref; channel: string; session: number }
  | { kind: "pong"; ref?: Ref; data: unknown }
  | { kind: "error"; ref?: Ref; code: string; error: string };

/** What a server says. */
export type ServerFrame = ChannelFrame | Hello | Answer | { kind: "closing"; reconnect_ms: number };

/** What a client takes topics to be: hashes of schemas, of those that have one. */
export type Schemas = Readonly<Record<string, string | undefined>>;

/** What a client says. */
export type Ask =
  | { kind: "sub"; ref?: Ref; token: string; from?: string | undefined; topics?: string[]; schemas?: Schemas }
  | { kind: "unsub"; ref?: Ref; channel: string; topics?: string[] | undefined }
  | { kind: "auth"; ref?: Ref; token: string }
  | { kind: "ping"; ref?: Ref };

/** The version of the protocol. */
export const VERSION = 1;

/** A frame, if it is one; of a kind that this version does not know, it means nothing to anyone. */
export function parse(text: unknown): ServerFrame | undefined {
  try {
    const frame = JSON.parse(text as string) as ServerFrame;
    if (frame.kind) return frame;
  } catch {}
  return undefined;
}
