import type { MessagesState } from "../contents/contents.js";
import type { StoreState } from "../subscription/store.js";

type Result = StoreState & { reset: () => void };

/** Notices what a component reads, so that it renders again only when something of that has changed. */
export class Tracker {
  readonly #reads = new Set<keyof StoreState>();
  readonly #messageReads = new Set<keyof MessagesState>();
  #state: StoreState | undefined;
  #result: Result | undefined;
  #messages: { of: MessagesState; as: MessagesState } | undefined;

  /** The state as an object that notices what is read; the same one for the same state. */
  result(state: StoreState, reset: () => void): Result {
    if (this.#result && this.#state === state && this.#result.reset === reset) return this.#result;
    const result = watched({ ...state }, (key) => key !== "messages" && this.#reads.add(key));
    Object.defineProperty(result, "messages", { enumerable: true, get: () => this.#watchedMessages(state.messages) });
    this.#state = state;
    this.#result = Object.assign(result, { reset });
    return this.#result;
  }

  /** Whether something that was read is different. */
  isChanged(before: StoreState, after: StoreState): boolean {
    for (const key of this.#reads) if (before[key] !== after[key]) return true;
    if (before.messages === after.messages) return false;
    for (const key of this.#messageReads) {
      // To compare arrays would make them.
      if (key === "all" || before.messages[key] !== after.messages[key]) return true;
    }
    return false;
  }

  #watchedMessages(messages: MessagesState): MessagesState {
    if (this.#messages?.of !== messages) {
      this.#messages = { of: messages, as: watched(messages, (key) => this.#messageReads.add(key)) };
    }
    return this.#messages.as;
  }
}

function watched<T extends object>(target: T, onRead: (key: keyof T) => unknown): T {
  const watching = {} as T;
  for (const key of Object.keys(target) as (keyof T)[]) {
    Object.defineProperty(watching, key, {
      enumerable: true,
      configurable: true,
      get() {
        onRead(key);
        return target[key];
      },
    });
  }
  return watching;
}
