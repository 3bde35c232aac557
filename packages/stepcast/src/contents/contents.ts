import type { TopicMessage } from "../message.js";
import { compare } from "../protocol/cursor.js";
import { type Change, messagesOf, type Rollback } from "../protocol/session.js";
import { createLog } from "./log.js";
import { NOBODY, onNews, type RunState } from "./run.js";
import { createTexts, type Source } from "./texts.js";

/** What is missing of a topic. */
export interface GapState {
  topic: string;
  /** Why. */
  reason: string;
  /** Up to where everything was held; `null` when nothing was. */
  from: string | null;
  /** What came next; `null` until it has. */
  to: string | null;
  /** How many messages, when that is known. */
  missing: number | null;
}

/** Messages as a component reads them. Each property keeps its identity while it is unchanged. */
export interface MessagesState {
  /** The newest message of each topic. */
  readonly byTopic: Record<string, TopicMessage | undefined>;
  /** Those that are kept, in the order of their offsets. */
  readonly all: TopicMessage[];
  /** The newest one. */
  readonly last: TopicMessage | null;
  /** Those that came with this change. */
  readonly delta: TopicMessage[];
  /** The text of each topic whose payloads are text: what the newest run has said. */
  readonly text: Record<string, string>;
  /** Whether older messages were let go, as there were too many bytes of them. */
  readonly truncated: boolean;
}

/** None yet. */
export const EMPTY: MessagesState = { byTopic: {}, all: [], last: null, delta: [], text: {}, truncated: false };

/** Folds changes into what a page shows. */
export interface Contents {
  /** Where the run is. */
  readonly run: RunState;
  /** The last loss. */
  readonly gap: GapState | null;
  /** Takes a change in; says which messages it has made void. */
  apply(change: Change): string[];
  /** The messages as they are now; the same as before when nothing has changed. */
  commit(): MessagesState;
  /** Forgets everything. */
  clear(): void;
  /** The connection stands: what it is about is under way. */
  onOpen(): void;
}

export function createContents(topics: Readonly<Record<string, { text?: string }>>, historyLimit: number | null): Contents {
  let log = createLog(historyLimit);
  let texts = createTexts(topics);
  let byTopic: Record<string, TopicMessage | undefined> = {};
  let last: TopicMessage | null = null;
  let delta: TopicMessage[] = [];
  let isChanged = false;
  let shown = EMPTY;

  function add(message: TopicMessage): void {
    log.add(message);
    texts.add(message);
    byTopic[message.topic] = message;
    if (!last || compare(last.id, message.id) <= 0) last = message;
  }

  /** The messages take the place of everything that is held of the topic. */
  function replace(topic: string, messages: readonly TopicMessage[]): void {
    remove(topic, () => true);
    messages.forEach(add);
  }

  function remove(topic: string, isVoid: (source: Source) => boolean): string[] {
    const isGone = (message?: TopicMessage | null) => message?.topic === topic && isVoid(message);
    texts.remove(topic, isVoid);
    delta = delta.filter((message) => !isGone(message));
    const gone = log.remove(isGone);
    if (isGone(byTopic[topic])) byTopic[topic] = log.findLast((message) => message.topic === topic);
    if (isGone(last)) last = log.findLast(() => true) ?? null;
    return gone.map(({ id }) => id);
  }

  function rollback({ topic, id, after, runId, stepId, attempt, messages }: Rollback): string[] {
    const ids = remove(
      topic,
      (by) => by.runId === runId && by.stepId === stepId && by.attempt === attempt && compare(after, by.id) < 0 && compare(by.id, id) < 0,
    );
    // What is left is not new.
    if (messages) replace(topic, messages);
    return ids;
  }

  function closeGap(topic: string, to: string): void {
    if (self.gap?.topic === topic && !self.gap.to) self.gap = { ...self.gap, to };
  }

  const self = {
    run: NOBODY,
    gap: null as GapState | null,
    apply(change: Change): string[] {
      const messages = messagesOf(change);
      if (change.kind === "run" || change.topic === "$run") {
        self.run = onNews(self.run, change.kind === "run" ? change.data : messages.at(-1)?.data);
        return [];
      }
      const { topic } = change;
      isChanged = true;
      switch (change.kind) {
        case "message":
          closeGap(topic, change.message.id);
          add(change.message);
          delta.push(change.message);
          return [];
        case "snapshot":
          closeGap(topic, change.id);
          replace(topic, messages);
          delta.push(...messages);
          return [];
        case "rollback":
          return rollback(change);
        case "gap":
          self.gap = { topic, reason: change.reason, from: change.heldTo ?? null, to: null, missing: null };
          return remove(topic, ({ id }) => compare(id, change.keepTo) > 0);
      }
    },
    commit(): MessagesState {
      if (!isChanged) return shown;
      const view = log.view();
      shown = {
        byTopic: kept(shown.byTopic, { ...byTopic }),
        get all() {
          return view();
        },
        last,
        delta: delta.length + shown.delta.length > 0 ? delta : shown.delta,
        text: kept(shown.text, texts.all()),
        truncated: log.isTruncated(),
      };
      delta = [];
      isChanged = false;
      return shown;
    },
    clear(): void {
      log = createLog(historyLimit);
      texts = createTexts(topics);
      byTopic = {};
      last = null;
      delta = [];
      self.run = NOBODY;
      self.gap = null;
      isChanged = true;
    },
    onOpen(): void {
      if (self.run.status === "unknown") self.run = { ...self.run, status: "running" };
    },
  };
  return self;
}

/** The one before, when nothing in it has changed. */
export function kept<T extends object>(before: T, after: T): T {
  const keys = Object.keys(after) as (keyof T)[];
  const isSame = keys.length === Object.keys(before).length && keys.every((key) => before[key] === after[key]);
  return isSame ? before : after;
}
