import type { Platform } from "./platform.js";
import { Timer } from "./timer.js";

/** How long the answer may take when there is reason to doubt. */
const DOUBT_MS = 5_000;

/**
 * Whether the other side is there: asked after two pings of the server would have come, given up after a third. Browsers do not show the
 * pings themselves.
 */
export class Pulse {
  readonly #platform: Platform;
  readonly #on: { ask(): void; onSilence(): void };
  #keepalive = 0;
  #heardAt = 0;
  readonly #timer: Timer;
  #isAsked = false;

  constructor(platform: Platform, on: { ask(): void; onSilence(): void }) {
    this.#platform = platform;
    this.#on = on;
    this.#timer = new Timer(platform);
  }

  start(keepalive: number): void {
    this.#keepalive = keepalive;
    this.onSign();
    this.#look(2 * keepalive);
  }

  stop(): void {
    this.#timer.clear();
  }

  /** Something has come. */
  onSign(): void {
    this.#heardAt = this.#platform.now();
    this.#isAsked = false;
  }

  /** The network or the page was away: asks now. */
  wake(): void {
    this.#ask(DOUBT_MS);
  }

  #look(milliseconds: number): void {
    this.#timer.set(milliseconds, () => this.#onTime());
  }

  #onTime(): void {
    if (this.#isAsked) return this.#on.onSilence();
    const left = this.#heardAt + 2 * this.#keepalive - this.#platform.now();
    // A machine that slept finds its timers late: it asks before it believes.
    if (left > 0) this.#look(left);
    else this.#ask(this.#keepalive);
  }

  #ask(patience: number): void {
    this.#isAsked = true;
    this.#on.ask();
    this.#look(patience);
  }
}
