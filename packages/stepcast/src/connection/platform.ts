import type { Schemas } from "../protocol/frame.js";

/** The part of a WebSocket that is used. */
export interface Socket {
  send(text: string): void;
  close(code?: number): void;
  onmessage?: ((event: any) => void) | null;
  onclose?: ((event: any) => void) | null;
  onerror?: ((event: any) => void) | null;
}

/** Who reads one channel over a stream of its own. */
export interface StreamReader {
  /** What is read, what its topics are taken to be, and after which cursor. */
  readonly session: {
    readonly channel: string;
    readonly topics: readonly string[];
    readonly schemas: Schemas;
    readonly from: string | undefined;
  };
  /** Where the server is. */
  readonly origin: string;
  /** What is shown to the server; another one after a while. */
  readonly token: { readonly key: string } | undefined;
}

/**
 * Opens a stream of one channel in the shape of a WebSocket: frames come as they would there, without a `hello`; instead, `onOpen` is called,
 * with the seconds after which another token has to be shown. An empty message is a sign that the other side is there.
 */
export type OpenStream = (platform: Platform, reader: StreamReader, onOpen: (seconds?: number) => void) => Socket;

/** What the client needs of its environment; tests and unusual environments bring their own. */
export interface Platform {
  /** Opens a WebSocket; absent where there is none: streams are read instead. */
  readonly WebSocket?: (new (url: string) => Socket) | undefined;
  /** Opens what is read where WebSockets do not get through; server-sent events unless said. */
  readonly openStream?: OpenStream | undefined;
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
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
  fetch: (url, init) => fetch(url, init),
  get origin() {
    return globalThis.location?.origin;
  },
  isHidden: () => globalThis.document?.visibilityState === "hidden",
  onWake(callback) {
    const end = new AbortController();
    const { signal } = end;
    globalThis.addEventListener?.("online", callback, { signal });
    globalThis.document?.addEventListener("visibilitychange", callback, { signal });
    return () => end.abort();
  },
};
