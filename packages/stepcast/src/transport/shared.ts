import { address } from "../connection/address.js";
import { type OpenStream, platform, type Platform, type Socket, type StreamReader } from "../connection/platform.js";
import { compare } from "../protocol/cursor.js";
import type { ChannelFrame } from "../protocol/frame.js";
import type { Answer } from "./long-poll.js";
import { type Meeting, NAME, nameOfSubject, type News, type Request } from "./meeting.js";
import { createSharer } from "./sharer.js";

/**
 * The environment, with one tab of the browser that reads for all: tabs that show the same thing need one WebSocket together. Give it to
 * `RealtimeProvider` or `subscribe` as `platform`; make it once. Where tabs cannot meet (no `BroadcastChannel`, no Web Locks), each reads
 * for itself.
 *
 * Every tab shows its own token to the server when it joins, so that none sees what it may not.
 *
 * @example
 * ```tsx
 * import { shared } from "stepcast/shared";
 *
 * const platform = shared();
 * <RealtimeProvider platform={platform}><App /></RealtimeProvider>
 * ```
 */
export function shared(by: Platform = platform, meet: () => Meeting | undefined = meeting): Platform {
  const there = meet();
  if (!there) return by;
  const tab = crypto.randomUUID();
  // Others see by it that this tab has gone.
  void there.locks.request(`${NAME}:${tab}`, () => new Promise(() => {}));
  void there.locks.request(NAME, () => {
    const host = meet();
    if (host) createSharer(by, host);
    return new Promise(() => {});
  });
  const openStream: OpenStream = (platform, reader, onOpen) => join(there, tab, platform, reader, onOpen);
  return Object.create(by, { WebSocket: { value: undefined }, openStream: { value: openStream } }) as Platform;
}

/** Of the browser. */
function meeting(): Meeting | undefined {
  const { BroadcastChannel, document, navigator } = globalThis as Partial<typeof globalThis>;
  if (!document || !BroadcastChannel || !navigator?.locks) return undefined;
  return { talk: new BroadcastChannel(NAME), locks: navigator.locks };
}

/** Reads what the leader reads. What was before that is asked for by HTTP; what comes twice is dropped by whoever reads. */
function join(
  { talk }: Meeting,
  tab: string,
  platform: Platform,
  reader: StreamReader,
  onOpen: (seconds?: number) => void,
): Socket {
  const { channel, topics } = reader.session;
  const subject = { origin: reader.origin, channel, topics: [...topics] };
  const name = nameOfSubject(subject);
  const end = new AbortController();
  const { signal } = end;
  /** Frames of the leader that have to wait for those before. */
  let waiting: ChannelFrame[] | undefined = [];
  let isJoined = false;
  let lastRef: number | undefined;

  const say = (request: Request) => talk.postMessage(request);
  const hear = (frame: unknown) => socket.onmessage?.({ data: JSON.stringify(frame) });
  const socket: Socket = {
    send(text) {
      const { kind, ref, token } = JSON.parse(text) as { kind: string; ref?: number; token?: string };
      if (kind === "ping") say({ kind, tab });
      if (kind !== "auth" || !token) return;
      lastRef = ref;
      say({ kind, tab, subject, key: token });
    },
    close() {
      end.abort();
      say({ kind: "leave", tab, subject });
    },
  };
  const close = (code?: number) => {
    end.abort();
    socket.onclose?.({ code });
  };

  function onNews(news: News): void {
    if ("tab" in news && news.tab !== undefined && news.tab !== tab) return;
    if (news.kind === "leader") return isJoined ? close() : ask();
    if (news.kind === "pong") return socket.onmessage?.({ data: "" });
    if (nameOfSubject(news.subject) !== name) return;
    if (news.kind === "down") return close(news.code);
    if (news.kind === "joined") return onJoined(news.cursor, news.seconds);
    if (waiting) waiting.push(news.frame);
    else hear(news.frame);
  }

  function onJoined(cursor: string, seconds: number | undefined): void {
    if (isJoined) return hear({ kind: "authenticated", ref: lastRef, channel, session: seconds });
    isJoined = true;
    catchUp(cursor, seconds).catch(() => close());
  }

  /** What comes before the leader's frames; the server holds the token of this tab against it. */
  async function catchUp(to: string, seconds: number | undefined): Promise<void> {
    let { from } = reader.session;
    for (let isFirst = true; isFirst || compare(from ?? "0-0", to) < 0; isFirst = false) {
      const url = address({ ...reader, session: { ...reader.session, from } }, "messages?wait=0&limit=1000&");
      const response = await platform.fetch(url, { signal, cache: "no-store" });
      if (!response.ok) return close();
      const { cursor, frames, outdated } = (await response.json()) as Answer;
      if (signal.aborted) return;
      if (isFirst) onOpen(seconds);
      // The leader may be a newer page: what this one would misread, it is told here.
      if (outdated) hear({ kind: "outdated", channel, topics: outdated });
      frames.forEach(hear);
      // What is missing up to there was for others.
      if (cursor === from) break;
      from = cursor;
    }
    waiting?.forEach(hear);
    waiting = undefined;
  }

  const ask = () => say({ kind: "join", tab, subject, key: reader.token!.key });
  talk.addEventListener("message", ({ data }) => onNews(data as News), { signal });
  ask();
  return socket;
}
