import { RealtimeError } from "../error.js";
import { type Ask, parse, type Ref, type Schemas, type ServerFrame, VERSION } from "../protocol/frame.js";
import { mismatch } from "../protocol/session.js";
import { address } from "./address.js";
import { openEventStream } from "./event-stream.js";
import type { Down, Line, LineReader } from "./line.js";
import type { Platform, Socket } from "./platform.js";
import { createTimer } from "./timer.js";

/** How long the first frame may take. */
const HELLO_MS = 20_000;
/** The longest time that a server may send clients away for. */
const AWAY_MS = 60_000;
/** How long the answer may take when there is reason to doubt. */
const DOUBT_MS = 5_000;
/** How often something comes over a stream, be it a comment. */
const COMMENT_MS = 15_000;
/** Subscriptions of one connection. */
const MOST_READERS = 256;

/**
 * One connection with its readers: a WebSocket with up to 256 channels, or a stream of one. It lives once: when it is gone, its
 * readers are told and find another one.
 */
export interface Link extends Line {
  /** Whether it has a place for this reader, who is not on it yet. */
  takes(reader: LineReader): boolean;
  attach(reader: LineReader): void;
}

/** A frame that answers somebody; `hello` answers the one who has opened the connection. */
type Answer = ServerFrame & { kind: "hello" | "subscribed" | "authenticated" | "error"; ref?: Ref };

/** What is asked in a reader's name, before its token is shown. */
type Unsigned = { kind: "sub"; from: string | undefined; topics: string[]; schemas: Schemas } | { kind: "auth" };

/** What is read for somebody. */
interface Beginning {
  channel: string;
  topics: string[];
  cursor?: string;
  session?: number | undefined;
  outdated?: string[];
}

/** A link that is one way reads a stream. */
export function createLink(platform: Platform, isOneWay: boolean, onGone: () => void): Link {
  const readers = new Map<string, LineReader>();
  /** Who has asked something, by reference; the one who has opened the connection, by none. */
  const askers = new Map<Ref | undefined, LineReader>();
  const silence = createTimer();
  let socket: Socket | undefined;
  let opener: LineReader | undefined;
  let keepalive = 0;
  let isOpen = false;
  let isGone = false;
  let lastRef = 0;
  let away: number | undefined;

  function open(reader: LineReader): void {
    opener = reader;
    askers.set(undefined, reader);
    doubt(HELLO_MS);
    try {
      socket = isOneWay
        ? (platform.openStream ?? openEventStream)(platform, reader, (seconds) => {
            onStanding(COMMENT_MS);
            begin(reader, { ...reader.session, session: seconds });
          })
        : new platform.WebSocket!(address(reader, `connect?v=${VERSION}&`).replace("http", "ws"));
      socket.onmessage = onMessage;
      socket.onclose = onClose;
      // Some environments say no more than this of a handshake that has failed.
      socket.onerror = () => isOpen || lose();
    } catch {
      // Not before whoever attaches knows what it is attached to.
      doubt(0);
    }
  }

  function onMessage({ data: text }: { data: unknown }): void {
    onSign();
    const frame = parse(text);
    if (frame) onFrame(frame);
    else if (text !== "") fail(`no frame of the protocol: ${`${text}`.slice(0, 40)}`);
  }

  function onFrame(frame: ServerFrame): void {
    switch (frame.kind) {
      case "hello":
        if (frame.protocol !== VERSION) return fail(`server speaks protocol ${frame.protocol}`);
        onHello(frame);
      // It is an answer as well.
      case "subscribed":
      case "authenticated":
      case "error":
        return onAnswer(frame);
      case "closing":
        away = Math.min(frame.reconnect_ms, AWAY_MS);
        return;
      case "unsubscribed":
      case "pong":
        return;
      default:
        // Where a run is may belong to all.
        for (const [channel, reader] of readers) if (!frame.channel || frame.channel === channel) reader.onFrame(frame);
    }
  }

  function onHello({ keepalive_ms, channel }: Answer & { kind: "hello" }): void {
    onStanding(keepalive_ms);
    if (!askers.has(undefined)) leave(channel);
    for (const reader of readers.values()) if (reader !== opener) subscribe(reader);
  }

  function onAnswer(frame: Answer): void {
    const reader = askers.get(frame.ref);
    if (!reader) return;
    askers.delete(frame.ref);
    if (frame.kind === "error") reader.onRefused(new RealtimeError(frame.code, frame.error));
    else if (frame.kind === "authenticated") reader.onOpen(frame.session);
    else begin(reader, frame);
  }

  function onStanding(milliseconds: number): void {
    isOpen = true;
    keepalive = milliseconds;
    onSign();
  }

  /** The server is there. It is asked after two of its pings would have come, which browsers do not show, and given up after a third. */
  function onSign(): void {
    silence.set(2 * keepalive, () => doubt(keepalive));
  }

  /** Is the server there? */
  function doubt(patience: number): void {
    send({ kind: "ping" });
    silence.set(patience, lose);
  }

  /** What is read must be what was wanted. */
  function begin(reader: LineReader, { channel, topics, cursor, session, outdated = [] }: Beginning): void {
    // As on a stream, it begins with all, and is told then what is not read.
    topics = topics.concat(outdated);
    const error = mismatch(reader.session, { channel, topics });
    if (error) {
      reader.onRefused(error);
      return leave(channel);
    }
    const unwanted = topics.filter((topic) => !reader.session.topics.includes(topic));
    if (unwanted[0]) send({ kind: "unsub", channel, topics: unwanted });
    reader.session.begin(topics, cursor);
    reader.onOpen(session);
    reader.onFrame({ kind: "outdated", channel, topics: outdated });
  }

  function onClose({ code, cause }: { code?: number; cause?: unknown }): void {
    if (isOpen && code === 4401) end({ error: new RealtimeError("bad_token", "session is over", cause, true), wait: 0 });
    else if (isOpen && /^100[279]$/.test(code as unknown as string)) fail(`server has closed with ${code}`);
    else lose(cause);
  }

  function subscribe(reader: LineReader): void {
    const { from, topics, schemas } = reader.session;
    ask({ kind: "sub", from, topics, schemas }, reader);
  }

  /** Nobody reads this channel here any more; a connection that nobody reads ends. */
  function leave(channel: string): void {
    if (readers.size === 0) lose(undefined, 1000);
    else if (!readers.has(channel)) send({ kind: "unsub", channel });
  }

  function ask(frame: Unsigned, reader: LineReader): void {
    askers.set(++lastRef, reader);
    send({ ...frame, ref: lastRef, token: reader.token!.key });
  }

  function send(frame: Ask): void {
    if (isOpen) socket?.send(JSON.stringify(frame));
  }

  /** One of the two has broken the protocol. */
  function fail(message: string): void {
    end({ error: new RealtimeError("protocol", message) });
  }

  function lose(cause?: unknown, code?: number): void {
    const error = new RealtimeError("unreachable", `no connection to ${opener?.origin}`, cause);
    end({ error, isHandshake: !isOpen }, code);
  }

  function end(down: Down, code?: number): void {
    if (isGone) return;
    isGone = true;
    silence.clear();
    // Its end is told once; what it says after that, to nobody.
    if (socket) {
      socket.onmessage = null;
      socket.close(code);
      socket = undefined;
    }
    onGone();
    for (const reader of readers.values()) {
      // Only the opener's token was shown: others are not refused, and try at once.
      const isOther = down.isHandshake && reader !== opener;
      reader.onDown(isOther ? { error: down.error, wait: 0 } : { wait: away, ...down });
    }
  }

  return {
    takes: ({ origin, session }) =>
      !isOneWay && origin === opener?.origin && !readers.has(session.channel) && readers.size < MOST_READERS,
    attach(reader) {
      readers.set(reader.session.channel, reader);
      if (!opener) open(reader);
      else if (isOpen) subscribe(reader);
    },
    detach(reader) {
      readers.delete(reader.session.channel);
      for (const [ref, asker] of askers) if (asker === reader) askers.delete(ref);
      leave(reader.session.channel);
    },
    auth: (reader) => ask({ kind: "auth" }, reader),
    wake() {
      if (isOpen && !isOneWay) doubt(DOUBT_MS);
    },
  };
}
