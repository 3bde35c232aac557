import type { TopicMessage } from "../message.js";
import { compare } from "../protocol/cursor.js";

/** Characters of JSON that a log without a limit keeps. */
const MOST = 16 * 1024 * 1024;

/** Part of a log that does not change any more; read as an array when somebody wants it. */
export interface View {
  readonly all: TopicMessage[];
}

/**
 * The newest messages in the order of their offsets. It grows in place; views of it are of what it was, and nothing is copied for those
 * that nobody reads.
 */
export class Log {
  readonly #limit: number;
  readonly #isBounded: boolean;
  #messages: TopicMessage[] = [];
  #start = 0;
  #size = 0;
  #isTruncated = false;

  /** `null` keeps as many as fit into 16 MiB. */
  constructor(limit: number | null) {
    this.#isBounded = limit === null;
    this.#limit = limit === null ? Infinity : Math.max(0, limit);
  }

  /** Whether a log without a limit has let go of messages. */
  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  get length(): number {
    return this.#messages.length - this.#start;
  }

  /** Adds messages; each at its place. */
  add(messages: readonly TopicMessage[]): void {
    let last = this.#messages.at(-1)?.id;
    const inOrder = messages.every(({ id }) => {
      const follows = last === undefined || compare(last, id) < 0;
      last = id;
      return follows;
    });
    if (inOrder) for (const message of messages) this.#messages.push(message);
    else this.#replace(merged([...this.#kept(), ...messages]));
    if (this.#isBounded) for (const message of messages) this.#size += sizeOf(message);
    this.#trim();
  }

  /** Takes messages away, and says which. */
  remove(isVoid: (message: TopicMessage) => boolean): string[] {
    const kept: TopicMessage[] = [];
    const ids: string[] = [];
    for (const message of this.#kept()) {
      if (isVoid(message)) ids.push(message.id);
      else kept.push(message);
    }
    if (ids.length > 0) this.#replace(kept);
    return ids;
  }

  /** The newest message that is still here. */
  findLast(isWanted: (message: TopicMessage) => boolean): TopicMessage | undefined {
    for (let at = this.#messages.length - 1; at >= this.#start; at--) {
      const message = this.#messages[at];
      if (message && isWanted(message)) return message;
    }
    return undefined;
  }

  view(): View {
    const [messages, start, end] = [this.#messages, this.#start, this.#messages.length];
    let all: TopicMessage[] | undefined;
    return {
      get all() {
        all ??= messages.slice(start, end);
        return all;
      },
    };
  }

  clear(): void {
    this.#replace([]);
    this.#isTruncated = false;
  }

  #kept(): TopicMessage[] {
    return this.#messages.slice(this.#start);
  }

  #replace(messages: TopicMessage[]): void {
    this.#messages = messages;
    this.#start = 0;
    this.#size = this.#isBounded ? messages.reduce((size, message) => size + sizeOf(message), 0) : 0;
  }

  #trim(): void {
    if (this.length > this.#limit) this.#start = this.#messages.length - this.#limit;
    while (this.#size > MOST) {
      const oldest = this.#messages[this.#start];
      if (!oldest) break;
      this.#size -= sizeOf(oldest);
      this.#start += 1;
      this.#isTruncated = true;
    }
    // Views keep the old array; the new one lets go of what no view needs.
    if (this.#start > 64 && this.#start > this.length) [this.#messages, this.#start] = [this.#kept(), 0];
  }
}

/** In order of offsets; of two with the same, the later one. */
function merged(messages: TopicMessage[]): TopicMessage[] {
  const sorted = messages.sort((a, b) => compare(a.id, b.id));
  return sorted.filter(({ id }, at) => sorted[at + 1]?.id !== id);
}

const sizes = new WeakMap<TopicMessage, number>();

/** What it takes as JSON, about. */
function sizeOf(message: TopicMessage): number {
  let size = sizes.get(message);
  if (size === undefined) sizes.set(message, (size = 100 + (JSON.stringify(message.data)?.length ?? 0)));
  return size;
}
