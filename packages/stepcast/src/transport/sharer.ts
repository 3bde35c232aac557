import type { LineReader } from "../connection/line.js";
import type { Platform } from "../connection/platform.js";
import { createPool } from "../connection/pool.js";
import { readToken } from "../connection/token.js";
import { ORIGIN } from "../protocol/cursor.js";
import type { ChannelFrame } from "../protocol/frame.js";
import { createSession } from "../protocol/session.js";
import { type Meeting, NAME, nameOfSubject, type News, type Request, type Subject } from "./meeting.js";

/** What is read for tabs. */
interface Share {
  readonly subject: Subject;
  /** The tabs that read it, and how often: one may show it in several ways. */
  readonly tabs: Map<string, number>;
  readonly reader: LineReader;
  /** Ends the reading. */
  end(): void;
  /** Shows another token. */
  auth(key: string): void;
  /** Until when it may go on, in milliseconds since 1970, if there is an end; once it is read. */
  open: { until: number | undefined } | undefined;
}

/** Reads for all tabs, in one of them. It ends with its tab. */
export function createSharer(platform: Platform, { talk, locks }: Meeting): void {
  const pool = createPool(platform);
  const shares = new Map<string, Share>();
  /** Tabs whose end is awaited. */
  const known = new Set<string>();
  const say = (news: News) => talk.postMessage(news);

  function onRequest(request: Request): void {
    const { tab } = request;
    if (request.kind === "ping") return say({ kind: "pong", tab });
    const name = nameOfSubject(request.subject);
    const share = shares.get(name);
    if (request.kind === "join") join(tab, name, request.subject, request.key);
    else if (request.kind === "auth") share?.auth(request.key);
    else if (share) leave(tab, name, share);
  }

  function join(tab: string, name: string, subject: Subject, key: string): void {
    if (!known.has(tab)) {
      known.add(tab);
      void locks.request(`${NAME}:${tab}`, () => onTabGone(tab));
    }
    const share = shares.get(name) ?? read(name, subject, key);
    share.tabs.set(tab, (share.tabs.get(tab) ?? 0) + 1);
    greet(tab, share);
  }

  /** Tells a tab where what it is passed on begins. */
  function greet(tab: string, { open, subject, reader }: Share): void {
    const seconds = open?.until && (open.until - Date.now()) / 1_000;
    if (open) say({ kind: "joined", tab, subject, cursor: reader.session.from ?? ORIGIN, seconds });
  }

  function leave(tab: string, name: string, share: Share): void {
    const count = (share.tabs.get(tab) ?? 0) - 1;
    if (count > 0) share.tabs.set(tab, count);
    else share.tabs.delete(tab);
    if (share.tabs.size > 0) return;
    shares.delete(name);
    share.end();
  }

  function onTabGone(tab: string): void {
    known.delete(tab);
    for (const [name, share] of [...shares]) {
      if (!share.tabs.has(tab)) continue;
      share.tabs.set(tab, 1);
      leave(tab, name, share);
    }
  }

  function read(name: string, subject: Subject, key: string): Share {
    const { origin, channel, topics } = subject;
    // From now on: tabs ask for what was before by themselves.
    const session = createSession(channel, topics, "now");
    const drop = (code?: number) => {
      if (shares.get(name) === share) shares.delete(name);
      say({ kind: "down", subject, ...(code === undefined ? {} : { code }) });
    };
    const reader: LineReader & { token: ReturnType<typeof readToken> } = {
      origin,
      session,
      token: readToken(key),
      onOpen(seconds) {
        share.open = { until: seconds && Date.now() + seconds * 1_000 };
        for (const tab of share.tabs.keys()) greet(tab, share);
      },
      onFrame(frame: ChannelFrame) {
        if (frame.kind === "outdated") return;
        session.on(frame);
        say({ kind: "frame", subject, frame });
      },
      onRefused(error) {
        share.end();
        drop(error.code === "bad_token" ? 4401 : undefined);
      },
      onDown: ({ error }) => drop(error.code === "bad_token" ? 4401 : undefined),
    };
    const share: Share = {
      subject,
      tabs: new Map(),
      reader,
      open: undefined,
      end: () => line.detach(reader),
      auth(key) {
        reader.token = readToken(key);
        line.auth(reader);
      },
    };
    shares.set(name, share);
    const line = pool.attach(reader);
    return share;
  }

  talk.addEventListener("message", ({ data }) => onRequest(data as Request));
  say({ kind: "leader" });
}
