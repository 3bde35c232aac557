import type { Platform } from "./platform.js";

/** One thing that is to happen later, once. */
export class Timer {
  readonly #platform: Platform;
  #timer: unknown;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  get isSet(): boolean {
    return this.#timer !== undefined;
  }

  /** In so many milliseconds, instead of when it was to happen before. */
  set(milliseconds: number, callback: () => void): void {
    this.clear();
    this.#timer = this.#platform.setTimeout(() => {
      this.#timer = undefined;
      callback();
    }, milliseconds);
  }

  clear(): void {
    this.#platform.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
