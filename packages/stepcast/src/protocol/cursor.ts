/** A place in a channel: `<epoch>-<offset>`, two numbers of up to 64 bits. */
export type Cursor = string;

/** Before everything. */
export const ORIGIN: Cursor = "0-0";

export function isCursor(text: string | undefined): text is Cursor {
  return /^\d+-\d+$/.test(text as string);
}

/** Below zero when `a` comes before `b`. */
export function compare(a: Cursor, b: Cursor): number {
  const [epochA, offsetA] = a.split("-") as [string, string];
  const [epochB, offsetB] = b.split("-") as [string, string];
  return compareDigits(epochA, epochB) || compareDigits(offsetA, offsetB);
}

/** The one that comes later; the first when there is no second. */
export function later(a: Cursor, b: Cursor | undefined): Cursor {
  return b === undefined || compare(a, b) > 0 ? a : b;
}

/** By length first: the numbers may be larger than what a `number` tells apart. */
function compareDigits(a: string, b: string): number {
  return a.length - b.length || +(a > b) - +(a < b);
}
