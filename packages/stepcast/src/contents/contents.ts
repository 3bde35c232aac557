import type { TopicMessage } from "../message.js";
import { compare } from "../protocol/cursor.js";
import type { Change, Gap } from "../protocol/session.js";
import { Log } from "./log.js";
import { onNews, type RunState } from "./run.js";
import { Texts } from "./texts.js";

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

/** What all changes have come to. */
export interface ContentsState {
  readonly messages: MessagesState;
  readonly run: RunState;
  readonly gap: GapState | null;
}

const NOBODY: RunState = { status: "unknown", result: undefined, news: undefined };

/** Nothing yet. */
export const EMPTY: ContentsState = {
  messages: { byTopic: {}, all: [], last: null, delta: [], text: {}, truncated: false },
  run: NOBODY,
  gap: null,
};

/** Folds changes into what a page shows. Nothing is seen before `commit`. */
export class Contents {
  readonly #log: Log;
  readonly #texts: Texts;
  #byTopic: Record<string, TopicMessage | undefined> = {};
  #last: TopicMessage | null = null;
  #pending: TopicMessage[] = [];
  #run = NOBODY;
  #gap: GapState | null = null;
  #isTextChanged = false;
  #isChanged = false;
  #state = EMPTY;

  constructor(topics: Readonly<Record<string, { text?: string }>>, historyLimit: number | null) {
    this.#log = new Log(historyLimit);
    this.#texts = new Texts(topics);
  }

  get state(): ContentsState {
    return this.#state;
  }

  /** Takes a change in; says which messages it has made void. */
  apply(change: Change): string[] {
    if (change.kind === "run") return this.#onRun(change.data);
    if (change.topic === "$run") return this.#onRunTopic(change);
    this.#isChanged = true;
    switch (change.kind) {
      case "message":
        this.#add(change.message);
        return [];
      case "snapshot":
        this.#closeGap(change.topic, change.id);
        this.#replace(change.topic, change.messages);
        return [];
      case "rollback":
        return this.#rollback(change);
      case "gap":
        return this.#onGap(change);
    }
  }

  /** Everything so far becomes visible. */
  commit(): ContentsState {
    const delta = this.#pending;
    this.#pending = [];
    const { messages, run, gap } = this.#state;
    if (!this.#isChanged && run === this.#run && gap === this.#gap) return this.#state;
    if (!this.#isChanged) return (this.#state = { messages, run: this.#run, gap: this.#gap });
    this.#log.add(delta);
    const view = this.#log.view();
    const text = this.#isTextChanged ? kept(messages.text, this.#texts.all()) : messages.text;
    this.#isChanged = this.#isTextChanged = false;
    const next: MessagesState = {
      byTopic: kept(messages.byTopic, { ...this.#byTopic }),
      get all() {
        return view.all;
      },
      last: this.#last,
      delta: delta.length === 0 && messages.delta.length === 0 ? messages.delta : delta,
      text,
      truncated: this.#log.isTruncated,
    };
    return (this.#state = { messages: next, run: this.#run, gap: this.#gap });
  }

  /** Forgets everything. */
  clear(): void {
    this.#run = NOBODY;
    this.#log.clear();
    this.#texts.clear();
    [this.#byTopic, this.#last, this.#pending, this.#gap] = [{}, null, [], null];
    [this.#isChanged, this.#isTextChanged] = [true, true];
  }

  /** The connection stands: what it is about is under way. */
  onOpen(): void {
    if (this.#run.status === "unknown") this.#run = { ...this.#run, status: "running" };
  }

  #add(message: TopicMessage): void {
    const { topic } = message;
    this.onOpen();
    this.#closeGap(topic, message.id);
    this.#pending.push(message);
    this.#show(message);
    this.#texts.append(message);
    this.#isTextChanged = true;
  }

  #show(message: TopicMessage): void {
    this.#byTopic[message.topic] = message;
    if (!this.#last || compare(this.#last.id, message.id) <= 0) this.#last = message;
  }

  /** The messages take the place of everything that is held of the topic; what is in `fresh` of them is new. */
  #replace(topic: string, messages: readonly TopicMessage[], fresh = messages): void {
    this.#remove(topic, () => true);
    this.#texts.replace(topic, messages);
    this.#isTextChanged = true;
    if (fresh.length === 0) this.#log.add(messages);
    for (const message of messages) this.#show(message);
    this.#pending.push(...fresh);
  }

  #rollback(change: Change & { kind: "rollback" }): string[] {
    const { topic, id, after, runId, stepId, attempt, messages } = change;
    const isVoid = (message: TopicMessage) =>
      message.runId === runId &&
      message.stepId === stepId &&
      message.attempt === attempt &&
      compare(after, message.id) < 0 &&
      compare(message.id, id) < 0;
    const ids = this.#remove(topic, isVoid);
    this.#texts.rollback(change);
    this.#isTextChanged = true;
    if (messages) this.#replace(topic, messages, []);
    return ids;
  }

  #onGap({ topic, reason, keepTo, heldTo }: Gap): string[] {
    const ids = this.#remove(topic, (message) => compare(message.id, keepTo) > 0);
    this.#texts.cut(topic, keepTo);
    this.#isTextChanged = true;
    this.#gap = { topic, reason, from: heldTo ?? null, to: null, missing: null };
    return ids;
  }

  #closeGap(topic: string, to: string): void {
    if (this.#gap?.topic === topic && this.#gap.to === null) this.#gap = { ...this.#gap, to };
  }

  #onRun(data: unknown): string[] {
    this.#run = onNews(this.#run, data);
    return [];
  }

  #onRunTopic(change: Exclude<Change, { kind: "run" }>): string[] {
    const messages = change.kind === "message" ? [change.message] : "messages" in change ? change.messages : [];
    const newest = messages?.at(-1);
    return newest ? this.#onRun(newest.data) : [];
  }

  #remove(topic: string, isVoid: (message: TopicMessage) => boolean): string[] {
    const isGone = (message: TopicMessage) => message.topic === topic && isVoid(message);
    const ids = this.#log.remove(isGone);
    this.#pending = this.#pending.filter((message) => {
      if (isGone(message)) ids.push(message.id);
      return !isGone(message);
    });
    const newest = (isWanted: (message: TopicMessage) => boolean) =>
      this.#pending.filter(isWanted).at(-1) ?? this.#log.findLast(isWanted);
    const shown = this.#byTopic[topic];
    if (shown && isGone(shown)) this.#setShown(topic, newest((message) => message.topic === topic));
    if (this.#last && isGone(this.#last)) this.#last = newest(() => true) ?? null;
    return ids;
  }

  #setShown(topic: string, message: TopicMessage | undefined): void {
    if (message) this.#byTopic[topic] = message;
    else delete this.#byTopic[topic];
  }
}

/** The one before, when nothing in it has changed. */
function kept<T extends Record<string, unknown>>(before: T, after: T): T {
  const keys = Object.keys(after);
  const isSame = keys.length === Object.keys(before).length && keys.every((key) => before[key] === after[key]);
  return isSame ? before : after;
}
