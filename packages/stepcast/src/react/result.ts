import type { GapState } from "../contents/contents.js";
import type { RunStatus } from "../contents/run.js";
import type { ChannelInput } from "../definition/channel.js";
import type { RealtimeError } from "../error.js";
import type { Message } from "../message.js";

/** What the connection does. */
export type UseRealtimeConnectionStatus = "idle" | "connecting" | "open" | "paused" | "closed" | "error";

/** Where the run is. */
export type UseRealtimeRunStatus = RunStatus;

/** What is missing of a topic; `missing` is a count when that is known. */
export type Gap = GapState;

type Names<TTopics extends readonly string[] | undefined> = TTopics extends readonly (infer K extends string)[] ? K : string;

/** Messages of the topics that are read. Each property keeps its identity while it is unchanged. */
export interface Messages<TChannel extends ChannelInput, TTopics extends readonly string[] | undefined> {
  /** The newest message of each topic. */
  readonly byTopic: TTopics extends readonly string[]
    ? { [K in TTopics[number]]?: Message<TChannel, K> }
    : Record<string, Message<TChannel> | undefined>;
  /** Those that are kept, up to `historyLimit`, in the order of their offsets. */
  readonly all: Message<TChannel, Names<TTopics>>[];
  /** The newest one. */
  readonly last: Message<TChannel, Names<TTopics>> | null;
  /** Those that came with the last change. */
  readonly delta: Message<TChannel, Names<TTopics>>[];
  /** The text of each topic whose payloads are text: what the newest run has said, without what failed attempts did. */
  readonly text: { readonly [K in Names<TTopics>]?: string };
  /** Whether older messages were let go, as they were too many bytes. */
  readonly truncated: boolean;
}

type Connection =
  | { connectionStatus: "idle" | "connecting" | "open" | "closed"; isPaused: false; pauseReason: null; error: RealtimeError | null }
  | { connectionStatus: "paused"; isPaused: true; pauseReason: "hidden" | "disabled"; error: RealtimeError | null }
  | { connectionStatus: "error"; isPaused: false; pauseReason: null; error: RealtimeError };

/** What `useRealtime` gives. A component renders again only when something has changed that it has read. */
export type UseRealtimeResult<
  TChannel extends ChannelInput = ChannelInput,
  TTopics extends readonly string[] | undefined = readonly string[] | undefined,
> = Connection & {
  /** Where the run is. */
  runStatus: RunStatus;
  messages: Messages<TChannel, TTopics>;
  /** What the run has returned, if it lets those who watch see it. */
  result: unknown;
  /** The last loss. */
  gap: Gap | null;
  /** Whether what comes was there before. */
  isReplaying: boolean;
  /** Forgets what has come; the reading goes on. */
  reset: () => void;
};
