import { originOf } from "../connection/address.js";
import { Backoff } from "../connection/backoff.js";
import type { Down, Line, LineReader } from "../connection/line.js";
import type { Pool } from "../connection/pool.js";
import { Timer } from "../connection/timer.js";
import { type TokenInput, type Token, Tokens } from "../connection/token.js";
import { type ChannelInput, nameOf, topicsOf } from "../definition/channel.js";
import { RealtimeError } from "../error.js";
import type { ChannelFrame } from "../protocol/frame.js";
import { type Change, Session } from "../protocol/session.js";
import { Validator } from "./validator.js";

/** After how long a token that could not be had is asked for again, while the connection stands. */
const ASK_AGAIN_MS = 2_000;
/** After this long without a frame, what is kept has come; where the token does not say up to where that is. */
const QUIET_MS = 250;

/** Where a reading is: what its connection does. */
export type ReadingStatus = "idle" | "connecting" | "open" | "closed" | "error";

/** What is to be read, and how. */
export interface ReadingOptions {
  readonly channel: ChannelInput;
  readonly topics: readonly string[];
  readonly token: () => TokenInput | undefined;
  readonly from?: string | undefined;
  readonly apiBaseUrl?: string | undefined;
  readonly validate?: boolean | undefined;
  readonly reconnect?: boolean | undefined;
  readonly reconnectMinMs?: number | undefined;
  readonly reconnectMaxMs?: number | undefined;
}

/** Who is told what. */
export interface ReadingListener {
  onChange(change: Change): void;
  onStatus(status: ReadingStatus, error: RealtimeError | null): void;
  /** Something is wrong with a message; the reading goes on. */
  onError(error: RealtimeError): void;
  /** Whether what comes was there before. */
  onReplaying(isReplaying: boolean): void;
}

/** The reading of a channel over whatever connections it takes, until it is stopped or cannot go on. */
export class Reading implements LineReader {
  readonly session: Session;
  readonly #pool: Pool;
  readonly #options: ReadingOptions;
  readonly #listener: ReadingListener;
  readonly #tokens: Tokens;
  readonly #backoff: Backoff;
  readonly #validator: Validator;
  #status: ReadingStatus = "idle";
  #line: Line | undefined;
  #token: Token | undefined;
  #origin = "";
  /** Counts starts: what an earlier one has asked for does not count any more. */
  #life = 0;
  readonly #retry: Timer;
  readonly #refresh: Timer;
  readonly #quiet: Timer;
  #isReplaying = false;
  /** Whether the server has asked to be left alone for a while. */
  #isAway = false;
  #wasRefused = false;
  #endWake: (() => void) | undefined;

  constructor(pool: Pool, options: ReadingOptions, listener: ReadingListener) {
    const { channel, topics, from, validate = true } = options;
    this.#pool = pool;
    this.#options = options;
    this.#listener = listener;
    this.session = new Session(nameOf(channel), topics, from);
    this.#tokens = new Tokens(options.token);
    this.#backoff = new Backoff(pool.platform.random);
    [this.#retry, this.#refresh, this.#quiet] = [new Timer(pool.platform), new Timer(pool.platform), new Timer(pool.platform)];
    this.#validator = new Validator(validate ? topicsOf(channel) : {}, {
      change: (change) => listener.onChange(change),
      error: (error) => listener.onError(error),
    });
  }

  get status(): ReadingStatus {
    return this.#status;
  }

  /** Whether it reads, or tries to. */
  get isRunning(): boolean {
    return this.#life % 2 === 1;
  }

  /** Begins, or goes on after what is held. */
  start(): void {
    if (this.isRunning) return;
    this.#life += 1;
    this.#endWake = this.#pool.platform.onWake(() => this.#onWake());
    this.#connect();
  }

  /** Ends the connection; what is held stays. */
  stop(status: ReadingStatus = "closed", error: RealtimeError | null = null): void {
    if (!this.isRunning) return;
    this.#life += 1;
    this.#endWake?.();
    this.#leave();
    this.#setStatus(status, error);
  }

  onOpen(seconds?: number): void {
    this.#backoff.reset();
    this.#wasRefused = false;
    if (seconds !== undefined) {
      this.#pool.onWorking(this.#origin);
      this.onAuthenticated(seconds);
    }
    this.#setReplaying(true);
    this.#expectQuiet();
    this.#setStatus("open", null);
    this.#lookReplayed();
  }

  onFrame(frame: ChannelFrame): void {
    const change = this.session.on(frame);
    if (change) this.#validator.take(change);
    if (!this.#isReplaying) return;
    this.#expectQuiet();
    this.#lookReplayed();
  }

  onAuthenticated(seconds: number): void {
    this.#refreshIn(seconds * 750);
  }

  onTokenRefused(error: RealtimeError): void {
    if (error.code === "bad_token" || error.retryable) this.#refreshIn(ASK_AGAIN_MS);
    else this.stop("error", error);
  }

  onRefused(error: RealtimeError): void {
    this.#line = undefined;
    this.#leave();
    this.#onTrouble(error);
  }

  onDown(down: Down): void {
    const { status } = this;
    const [token, life] = [this.#token, this.#life];
    this.#line = undefined;
    this.#leave();
    if (!down.isHandshake || !token) return this.#onTrouble(down.error, down.wait, status === "open");
    void this.#pool.diagnose(this.#origin, this, token).then((error) => {
      if (life === this.#life) this.#onTrouble(error ?? down.error, down.wait);
    });
  }

  #connect(): void {
    const life = this.#life;
    this.#setStatus("connecting", null);
    this.#tokens.get().then(
      (token) => {
        if (life === this.#life && !this.#line) this.#attach(token);
      },
      (error: RealtimeError) => {
        if (life === this.#life) this.#onTrouble(error);
      },
    );
  }

  #attach(token: Token): void {
    const { channel, topics } = this.session;
    if (token.channel !== undefined && token.channel !== channel) {
      const text = `token is for channel \`${token.channel}\`, not for \`${channel}\``;
      return this.stop("error", new RealtimeError("wrong_channel", text));
    }
    const missing = topics.find((topic) => token.topics && !token.topics.includes(topic));
    if (missing !== undefined) {
      const text = `token does not allow topic \`${missing}\` of channel \`${channel}\``;
      return this.stop("error", new RealtimeError("forbidden", text));
    }
    // Who may know where the run is, is told.
    if (token.topics?.includes("$run")) this.session.want(["$run"]);
    const base = this.#options.apiBaseUrl ?? token.base ?? this.#pool.platform.origin;
    try {
      if (base === undefined) throw new RealtimeError("no_server", "no address of the server; give `apiBaseUrl`");
      this.#origin = originOf(base);
    } catch (error) {
      return this.stop("error", error as RealtimeError);
    }
    this.#token = token;
    this.#line = this.#pool.attach(this.#origin, this, token);
  }

  /** What becomes of a reading that has no connection. */
  #onTrouble(error: RealtimeError, wait?: number, wasOpen = false): void {
    const { reconnect = true, reconnectMinMs: min = 250, reconnectMaxMs: max = 5_000 } = this.#options;
    const isOld = error.code === "bad_token" && this.#tokens.canRefresh;
    if (!error.retryable && !isOld) return this.stop("error", error);
    if (!reconnect) return this.stop(wasOpen ? "closed" : "error", error);
    // Another token is worth a try at once, the one after it is not.
    const isFirst = isOld && !this.#wasRefused;
    this.#wasRefused ||= isOld;
    if (!isFirst) this.#setStatus(wasOpen ? "closed" : "error", error);
    const milliseconds = wait ?? (isFirst ? 0 : this.#backoff.wait({ min, max }));
    this.#retry.set(milliseconds, () => this.#connect());
    this.#isAway = wait !== undefined && wait > 0;
  }

  #onWake(): void {
    if (this.#pool.platform.isHidden()) return;
    this.#line?.wake();
    if (!this.#retry.isSet || this.#isAway) return;
    this.#retry.clear();
    this.#connect();
  }

  #refreshIn(milliseconds: number): void {
    if (this.#tokens.canRefresh) this.#refresh.set(milliseconds, () => this.#showAnother());
  }

  #showAnother(): void {
    const line = this.#line;
    this.#tokens.get().then(
      (token) => {
        if (line && line === this.#line) line.auth(this, token);
      },
      () => {
        // The connection stands; when its time is over, the error is told.
        if (line && line === this.#line) this.#refreshIn(ASK_AGAIN_MS);
      },
    );
  }

  #lookReplayed(): void {
    const mintedAt = this.#token?.mintedAt;
    if (mintedAt !== undefined && this.session.hasAllTo(mintedAt)) this.#setReplaying(false);
  }

  #expectQuiet(): void {
    this.#quiet.set(QUIET_MS, () => this.#setReplaying(false));
  }

  #setReplaying(isReplaying: boolean): void {
    if (!isReplaying) this.#quiet.clear();
    if (this.#isReplaying === isReplaying) return;
    this.#isReplaying = isReplaying;
    this.#listener.onReplaying(isReplaying);
  }

  #setStatus(status: ReadingStatus, error: RealtimeError | null): void {
    this.#status = status;
    this.#listener.onStatus(status, error);
  }

  #leave(): void {
    const line = this.#line;
    this.#line = undefined;
    line?.detach(this);
    this.#retry.clear();
    this.#refresh.clear();
    this.#setReplaying(false);
  }
}
