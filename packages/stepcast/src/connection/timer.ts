/** One thing that is to happen later, once. */
export interface Timer {
  /** In so many milliseconds, instead of when it was to happen before. */
  set(milliseconds: number, callback: () => void): void;
  clear(): void;
}

export function createTimer(): Timer {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const clear = () => clearTimeout(timer);
  return {
    set(milliseconds, callback) {
      clear();
      timer = setTimeout(callback, milliseconds);
    },
    clear,
  };
}
