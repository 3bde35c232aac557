// Waiting for a fact, with an end to the waiting that says what was missing.

const PATIENCE_MS = 15_000;

/** The promise's value, or an error naming `what` when it takes too long. */
export async function within(promise, what, milliseconds = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms for ${what()}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The items of an async iterable up to the one that `isLast` accepts, which is included. */
export async function takeUntil(iterable, isLast, what) {
  const items = [];
  const collect = async () => {
    for await (const item of iterable) {
      items.push(item);
      if (isLast(item)) return items;
    }
    throw new Error(`the stream ended before ${what}; it gave ${JSON.stringify(items)}`);
  };
  return within(collect(), () => `${what}; so far ${JSON.stringify(items)}`);
}

const BETWEEN_LOOKS_MS = 20;

/** What `look` gives as soon as it gives something. What it throws is the reason why there is nothing yet. */
export async function eventually(look, what, milliseconds = PATIENCE_MS) {
  const end = performance.now() + milliseconds;
  for (;;) {
    let reason = "nothing";
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      reason = error;
    }
    if (performance.now() > end) throw new Error(`waited ${milliseconds} ms for ${what()}; last: ${reason}`);
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS));
  }
}
