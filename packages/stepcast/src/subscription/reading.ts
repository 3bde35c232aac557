import type { Down, Line, LineReader } from "../connection/line.js";
import type { Pool } from "../connection/pool.js";
import { createTimer } from "../connection/timer.js";
import { askToken, type Token, type TokenInput } from "../connection/token.js";
import { type ChannelInput, nameOf, schemasOf, topicsOf } from "../definition/channel.js";
import { RealtimeError } from "../error.js";
import { compare, isCursor } from "../protocol/cursor.js";
import type { ChannelFrame, MessageFrame } from "../protocol/frame.js";
import { type Change, createSession, mismatch } from "../protocol/session.js";
import { createValidator } from "./validator.js";

/** After how long a token that could not be had is asked for again, while the connection stands. */
const ASK_AGAIN_MS = 2_000;
/** After this long without a frame, what is kept has come; where the token does not say up to where that is. */
const QUIET_MS = 250;

/** Where a reading is: what its connection does. */
export type ReadingStatus = "idle" | "connecting" | "open" | "closed" | "error" | "paused";

/** What is to be read, and how. */
export interface ReadingOptions {
  readonly channel: ChannelInput;
  readonly topics: readonly string[];
  readonly token: () => TokenInput | undefined;
  readonly from?: string | undefined;
  readonly apiBaseUrl?: string | undefined;
  readonly validate: boolean;
  readonly reconnect: boolean;
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** Read nothing while the page is hidden. */
  readonly pauseOnHidden?: boolean | undefined;
}

/** How it is read unless somebody says otherwise. */
export const USUAL = { validate: true, reconnect: true, reconnectMinMs: 250, reconnectMaxMs: 5_000 };

/** What was read before, on a server; it can be handed on as JSON. */
export interface Prefetched {
  /** Up to where everything is in it. */
  readonly cursor: string;
  readonly frames: readonly unknown[];
}

/** Who is told what. */
export interface ReadingListener {
  onChange(change: Change): void;
  onStatus(status: ReadingStatus, error: RealtimeError | null): void;
  /** Something is wrong with a message; the reading goes on. */
  onError(error: RealtimeError): void;
  /** Whether what comes was there before has changed. */
  onReplaying(): void;
}

/** The reading of a channel over whatever connections it takes, until it is stopped or cannot go on. */
export interface Reading extends LineReader {
  /** What its connection does. */
  readonly status: ReadingStatus;
  /** Whether what comes was there before. */
  readonly isReplaying: boolean;
  /** Whether it reads, or tries to. */
  isRunning(): boolean;
  /** Takes over what was read before, and goes on after it. */
  take(before: Prefetched): void;
  /** Begins, or goes on after what is held. */
  start(): void;
  /** Ends the connection; what is held stays. */
  stop(): void;
}

export function createReading(pool: Pool, options: ReadingOptions, listener: ReadingListener): Reading {
  const { channel, topics, from, reconnect, reconnectMinMs, reconnectMaxMs, pauseOnHidden } = options;
  const { platform } = pool;
  const session = createSession(nameOf(channel), topics, from, schemasOf(channel, topics));
  const canRefresh = () => typeof options.token() === "function";
  /** One token is asked for at a time. */
  let asking: Promise<Token> | undefined;
  const getToken = () => (asking ??= askToken(options.token()).finally(() => (asking = undefined)));
  const validate = createValidator(options.validate ? topicsOf(channel) : {}, listener);
  /** The next try, or while it is open, the next token. */
  const next = createTimer();
  const quiet = createTimer();
  let line: Line | undefined;
  /** Another one with each try: what an earlier one has asked for does not count any more. */
  let life = {};
  let failures = 0;
  /** Whether the server has asked to be left alone for a while. */
  let isAway = false;
  let wasRefused = false;
  let endWake: (() => void) | undefined;

  async function connect(): Promise<void> {
    const mine = leave();
    setStatus("connecting");
    try {
      const token = await getToken();
      if (mine === life) attach(token);
    } catch (error) {
      if (mine === life) onTrouble(error as RealtimeError);
    }
  }

  function attach(token: Token): void {
    const error = mismatch(session, token);
    if (error) throw error;
    // Who may know where the run is, is told.
    if (token.topics?.includes("$run")) session.want("$run");
    const base = options.apiBaseUrl ?? token.base ?? platform.origin;
    try {
      self.origin = new URL(base as string).origin;
    } catch {
      throw new RealtimeError("no_server", `\`${base}\` is no address of a server; give \`apiBaseUrl\``);
    }
    self.token = token;
    line = pool.attach(self);
  }

  /** What becomes of a reading that has no connection. */
  function onTrouble(error: RealtimeError, wait?: number, wasOpen?: boolean): void {
    const isOld = error.code === "bad_token" && canRefresh();
    const status = wasOpen ? "closed" : "error";
    if (!error.retryable && !isOld) return stop("error", error);
    if (!reconnect) return stop(status, error);
    // Another token is worth a try at once, the one after it is not.
    const isFirst = isOld && !wasRefused;
    wasRefused ||= isOld;
    if (isFirst) wait ??= 0;
    else setStatus(status, error);
    isAway = !!wait;
    // Waits double up to a bound, cut by up to a half by chance, so that those who lost the same server do not return together.
    wait ??= (Math.min(reconnectMaxMs, reconnectMinMs * 2 ** failures++) * (1 + Math.random())) / 2;
    next.set(wait, connect);
  }

  const isPaused = () => pauseOnHidden && platform.isHidden();

  function onWake(): void {
    if (isPaused()) {
      leave();
      setStatus("paused");
    } else if (!platform.isHidden()) {
      if (line || self.status === "connecting") line?.wake();
      else if (!isAway) void connect();
    }
  }

  function refreshIn(milliseconds: number): void {
    if (canRefresh()) next.set(milliseconds, showAnother);
  }

  async function showAnother(): Promise<void> {
    const mine = life;
    // The connection stands; when its time is over, the error is told.
    const token = await getToken().catch(() => undefined);
    if (mine !== life) return;
    if (!token) return refreshIn(ASK_AGAIN_MS);
    self.token = token;
    line?.auth(self);
  }

  /** What was there before has come when all is held up to where the token was minted, or when it is quiet. */
  function lookReplayed(): void {
    const { from } = session;
    const mintedAt = self.token?.mintedAt;
    if (mintedAt && isCursor(from) && compare(from, mintedAt) >= 0) setReplaying(false);
    else quiet.set(QUIET_MS, () => setReplaying(false));
  }

  function setReplaying(isReplaying: boolean): void {
    quiet.clear();
    if (self.isReplaying === isReplaying) return;
    self.isReplaying = isReplaying;
    listener.onReplaying();
  }

  function setStatus(status: ReadingStatus, error: RealtimeError | null = null): void {
    self.status = status;
    listener.onStatus(status, error);
  }

  /** Ends the try that is under way, and gives the next one. */
  function leave(): object {
    line?.detach(self);
    line = undefined;
    next.clear();
    isAway = false;
    setReplaying(false);
    return (life = {});
  }

  function stop(status: ReadingStatus, error: RealtimeError | null): void {
    if (!endWake) return;
    endWake();
    endWake = undefined;
    leave();
    setStatus(status, error);
  }

  const self = {
    session,
    status: "idle" as ReadingStatus,
    isReplaying: false,
    origin: "",
    token: undefined as Token | undefined,
    isRunning: () => !!endWake,
    take({ cursor, frames }: Prefetched) {
      setReplaying(true);
      session.begin(topics);
      (frames as MessageFrame[]).forEach(self.onFrame);
      session.begin(topics, cursor);
      setReplaying(false);
    },
    start() {
      if (endWake) return;
      endWake = platform.onWake(onWake);
      if (isPaused()) setStatus("paused");
      else void connect();
    },
    stop: () => stop("closed", null),
    onOpen(seconds?: number) {
      if (seconds !== undefined) {
        pool.onWorking(self);
        refreshIn(seconds * 750);
      }
      if (self.status === "open") return;
      failures = 0;
      wasRefused = false;
      setReplaying(true);
      setStatus("open");
      lookReplayed();
    },
    onFrame(frame: ChannelFrame) {
      if (frame.kind === "outdated") {
        // Told once per connection, however often the server says it; the other topics go on.
        for (const topic of frame.topics.filter(session.leave)) {
          listener.onError(new RealtimeError("outdated_client", `topic \`${topic}\` has changed: reload`));
        }
        return;
      }
      const change = session.on(frame);
      if (change) validate(change);
      if (self.isReplaying) lookReplayed();
    },
    onRefused(error: RealtimeError) {
      // What is read goes on with the token it has.
      if (self.status === "open" && (error.code === "bad_token" || error.retryable)) return refreshIn(ASK_AGAIN_MS);
      leave();
      onTrouble(error);
    },
    async onDown({ error, wait, isHandshake }: Down) {
      const wasOpen = self.status === "open";
      const mine = leave();
      const why = isHandshake && (await pool.diagnose(self));
      if (mine === life) onTrouble(why || error, wait, wasOpen);
    },
  };
  return self;
}
