/** The part of a WebSocket that is used. */
export interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
}

/** Everything that is not decided by the client itself; tests and unusual environments bring their own. */
export interface Platform {
  /** Opens a WebSocket; absent where there is none: server-sent events are read instead. */
  readonly WebSocket?: (new (url: string) => Socket) | undefined;
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** Milliseconds; it need not be the time of day. */
  readonly now: () => number;
  readonly setTimeout: (callback: () => void, milliseconds: number) => unknown;
  readonly clearTimeout: (timer: any) => void;
  /** From 0 to 1. */
  readonly random: () => number;
  /** The page's own origin, if there is a page. */
  readonly origin: string | undefined;
  readonly isHidden: () => boolean;
  /** Calls back when the network may be there again, and when the page is hidden or shown; gives a function that ends it. */
  readonly onWake: (callback: () => void) => () => void;
}

/** What the environment has. Looked up at each use, so that a page or a test may replace it. */
export const platform: Platform = {
  get WebSocket() {
    return globalThis.WebSocket as (new (url: string) => Socket) | undefined;
  },
  fetch: (url, init) => globalThis.fetch(url, init),
  now: () => Date.now(),
  setTimeout: (callback, milliseconds) => globalThis.setTimeout(callback, milliseconds),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
  random: () => Math.random(),
  get origin() {
    const origin = globalThis.location?.origin;
    return origin && origin !== "null" ? origin : undefined;
  },
  isHidden: () => globalThis.document?.visibilityState === "hidden",
  onWake(callback) {
    globalThis.addEventListener?.("online", callback);
    globalThis.document?.addEventListener("visibilitychange", callback);
    return () => {
      globalThis.removeEventListener?.("online", callback);
      globalThis.document?.removeEventListener("visibilitychange", callback);
    };
  },
};
