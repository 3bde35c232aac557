import type { MessagesState } from "../contents/contents.js";
import type { StoreState } from "../subscription/store.js";

/** Notices what a component reads, so that it renders again only when something of that has changed. */
export interface Tracker {
  /** The state as an object that notices what is read; the same one for the same state. */
  watch(state: StoreState): StoreState;
  /** Whether something that was read is different. */
  isChanged(before: StoreState, after: StoreState): boolean;
}

export function createTracker(): Tracker {
  const reads = new Set<keyof StoreState>();
  const messageReads = new Set<keyof MessagesState>();
  const watched = new WeakMap<object, object>();

  function watch<T extends object>(of: T, reads: Set<keyof T>): T {
    const get = (_: T, key: PropertyKey) => {
      reads.add(key as keyof T);
      const value = of[key as keyof T];
      return key === "messages" ? watch(value as MessagesState, messageReads) : value;
    };
    const before = watched.get(of);
    if (before) return before as T;
    const watching = new Proxy(of, { get });
    watched.set(of, watching);
    return watching;
  }

  return {
    watch: (state) => watch(state, reads),
    isChanged: (before, after) =>
      [...reads].some((key) => key !== "messages" && before[key] !== after[key]) ||
      // To compare `all` would make the arrays.
      (before.messages !== after.messages && [...messageReads].some((key) => key === "all" || before.messages[key] !== after.messages[key])),
  };
}
