/** A place in a channel: `<epoch>-<offset>`, two numbers of up to 64 bits. */
export type Cursor = string;

/** Before everything. */
export const ORIGIN: Cursor = "0-0";

export function isCursor(text: string | undefined): text is Cursor {
  return /^\d+-\d+$/.test(text as string);
}

/** Below zero when `a` comes before `b`. Digits count as numbers, however large they are. */
export const compare: (a: Cursor, b: Cursor) => number = /* @__PURE__ */ new Intl.Collator("en", { numeric: true }).compare;

/** The one that comes later; the first when there is no second. */
export function later(a: Cursor, b: Cursor | undefined): Cursor {
  return b === undefined || compare(a, b) > 0 ? a : b;
}
