/** How long to wait before the next try. */
export interface BackoffOptions {
  /** The first wait, in milliseconds. */
  readonly min: number;
  /** The longest one. */
  readonly max: number;
}

/** Waits that double up to a bound, each cut by up to a half by chance, so that those who lost the same server do not return together. */
export class Backoff {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  wait({ min, max }: BackoffOptions): number {
    const whole = Math.min(max, min * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return whole / 2 + (whole / 2) * this.#random();
  }

  /** It has worked: the next wait is a short one. */
  reset(): void {
    this.#failures = 0;
  }
}
