/** One thing that is to happen later, once. */
export interface Timer {
  /** In so many milliseconds, instead of when it was to happen before. */
  set(milliseconds: number, callback: () => void): void;
  clear(): void;
}

/** What is put off with each of thousands of frames takes one timer of the environment: when that is up, it waits for what is left. */
export function createTimer(): Timer {
  let timer: ReturnType<typeof setTimeout> | void;
  let callback: () => void;
  /** When it is to happen, and when the environment's timer is up. */
  let due: number;
  let up: number;

  const clear = () => (timer = clearTimeout(timer as number | undefined));
  function set(milliseconds: number, then: () => void): void {
    callback = then;
    due = performance.now() + milliseconds;
    if (timer && due >= up) return;
    clear();
    up = due;
    timer = setTimeout(() => {
      clear();
      const left = due - performance.now();
      if (left > 0) set(left, callback);
      else callback();
    }, milliseconds);
  }
  return { set, clear };
}
