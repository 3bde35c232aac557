import { address } from "../connection/address.js";
import { type OpenStream, platform, type Platform, type Socket } from "../connection/platform.js";
import type { ChannelFrame } from "../protocol/frame.js";

/** How long a request waits for something, in seconds; shorter than what counts as silence. */
const WAIT_S = 20;
/** Each request shows the token, so it is replaced as early as one of the usual length needs it. */
const TOKEN_S = 60;

/** What a request is answered with. */
export interface Answer {
  cursor: string;
  frames: ChannelFrame[];
  /** Topics that are not read. */
  outdated?: string[];
}

/** Asks for what comes next, again and again. */
export const openLongPoll: OpenStream = (platform, reader, onOpen) => {
  const end = new AbortController();
  const socket: Socket = {
    // The next request shows the token.
    send(text) {
      const { kind, ref } = JSON.parse(text) as { kind: string; ref?: number };
      const answer = { kind: "authenticated", ref, channel: reader.session.channel, session: TOKEN_S };
      if (kind === "auth") queueMicrotask(() => say(answer));
    },
    close: () => end.abort(),
  };
  const say = (frame: unknown) => socket.onmessage?.({ data: JSON.stringify(frame) });

  async function read(): Promise<{ code?: number }> {
    let from = reader.session.from;
    for (let wait = 0; ; wait = WAIT_S) {
      const { channel } = reader.session;
      const url = address({ ...reader, session: { ...reader.session, from } }, `messages?wait=${wait}&`);
      const response = await platform.fetch(url, { signal: end.signal, cache: "no-store" });
      // As at the end of a session: another token is worth a try.
      if (!response.ok) return wait > 0 && response.status === 401 ? { code: 4401 } : {};
      const { cursor, frames, outdated } = (await response.json()) as Answer;
      if (end.signal.aborted) return {};
      if (wait === 0) onOpen(TOKEN_S);
      socket.onmessage?.({ data: "" });
      if (outdated) say({ kind: "outdated", channel, topics: outdated });
      frames.forEach(say);
      from = cursor;
    }
  }

  void read()
    .catch((cause: unknown) => ({ cause }))
    .then((how) => socket.onclose?.(how));
  return socket;
};

/**
 * The environment, with requests that wait for what comes next in place of WebSockets and server-sent events: for networks that let
 * neither through. Give it to `RealtimeProvider` or `subscribe` as `platform`; make it once.
 *
 * @example
 * ```ts
 * import { longPoll } from "stepcast/long-poll";
 *
 * const platform = longPoll();
 * const messages = await subscribe({ channel, topics: ["status"], token, platform });
 * ```
 */
export function longPoll(by: Platform = platform): Platform {
  return Object.create(by, { WebSocket: { value: undefined }, openStream: { value: openLongPoll } }) as Platform;
}
