import type { TopicMessage } from "../message.js";
import { compare } from "../protocol/cursor.js";

/** Characters of JSON that a log without a limit keeps. */
const MOST = 16 * 1024 * 1024;

/**
 * The newest messages in the order of their offsets. It grows in place; views of it are of what it was, and nothing is copied for those
 * that nobody reads.
 */
export interface Log {
  add(message: TopicMessage): void;
  /** Takes messages away, and says which. */
  remove(isGone: (message: TopicMessage) => boolean): TopicMessage[];
  /** The newest message of these that is still here. */
  findLast(isWanted: (message: TopicMessage) => boolean): TopicMessage | undefined;
  /** What is kept now, as an array when somebody wants it. */
  view(): () => TopicMessage[];
  /** Whether a log without a limit has let go of messages. */
  isTruncated(): boolean;
}

/** `null` keeps as many as fit into 16 MiB. */
export function createLog(limit: number | null): Log {
  let messages: TopicMessage[] = [];
  /** Where the kept ones begin. */
  let start = 0;
  let size = 0;
  let isSorted = true;
  let isTruncated = false;

  const kept = () => messages.slice(start);

  /** Views keep the array before. */
  function set(all: TopicMessage[]): void {
    messages = all;
    start = 0;
  }

  /** What it takes as JSON, about; what is bounded by its number is not measured. */
  function sizeOf({ data }: TopicMessage): number {
    return limit === null ? 100 + (JSON.stringify(data)?.length ?? 0) : 0;
  }

  /** What came out of order, after a snapshot, takes its place; what is too much goes. */
  function settle(): void {
    if (!isSorted) set(kept().sort((a, b) => compare(a.id, b.id)));
    isSorted = true;
    while (messages.length - start > Math.max(0, limit ?? Infinity) || size > MOST) {
      size -= sizeOf(messages[start++]!);
      isTruncated ||= limit === null;
    }
    // The new array lets go of what no view needs.
    if (start > 64 && start > messages.length / 2) set(kept());
  }

  return {
    add(message) {
      const last = messages.at(-1);
      isSorted &&= !last || compare(last.id, message.id) < 0;
      messages.push(message);
      size += sizeOf(message);
    },
    remove(isGone) {
      const gone = kept().filter(isGone);
      if (gone.length > 0) set(kept().filter((message) => !isGone(message)));
      for (const message of gone) size -= sizeOf(message);
      return gone;
    },
    findLast(isWanted) {
      settle();
      return kept().reverse().find(isWanted);
    },
    view() {
      settle();
      const of = messages;
      const from = start;
      const end = of.length;
      let all: TopicMessage[] | undefined;
      return () => (all ??= of.slice(from, end));
    },
    isTruncated: () => isTruncated,
  };
}
