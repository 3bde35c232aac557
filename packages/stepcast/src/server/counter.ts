/** Names what is said by what it is and how often it was said before, whatever the order: a handler that runs again says the same. */
export class Counter {
  readonly #seen = new Map<string, number>();

  /** The next name of this message. */
  next(channel: string, topic: string, data: unknown): string {
    const text = JSON.stringify([channel, topic, data]);
    const count = (this.#seen.get(text) ?? 0) + 1;
    this.#seen.set(text, count);
    return `${hash(text)}:${count}`;
  }
}

/** Two sums of 32 bits (FNV-1a from two beginnings): nobody has to be kept from guessing them. */
function hash(text: string): string {
  const sum = (from: number) => {
    let value = from;
    for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
    return (value >>> 0).toString(36);
  };
  return `${text.length}.${sum(0x811c9dc5)}.${sum(0x9e3779b9)}`;
}
