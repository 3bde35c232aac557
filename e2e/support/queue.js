// What arrives, in its order, for one who takes it when it is wanted.

import { within } from "./deadline.js";

/** `put` adds an item; `take` gives the first one, waiting for it if need be; `rest` is what nobody has taken. */
export function queue(what) {
  const [items, takers] = [[], []];
  return {
    put: (item) => (takers.length ? takers.shift()(item) : items.push(item)),
    take(milliseconds) {
      if (items.length) return Promise.resolve(items.shift());
      let taker;
      const item = new Promise((resolve) => takers.push((taker = resolve)));
      return within(item, () => what, milliseconds).finally(() => takers.splice(0, takers.length, ...takers.filter((each) => each !== taker)));
    },
    /** Takes the first item for which `is` holds, whatever came before it. */
    async find(is, milliseconds) {
      const passed = [];
      try {
        for (;;) {
          const item = await this.take(milliseconds);
          if (is(item)) return item;
          passed.push(item);
        }
      } finally {
        items.unshift(...passed);
      }
    },
    rest: () => items,
  };
}
