import type { TopicMessage } from "../message.js";
import { compare } from "../protocol/cursor.js";
import type { Rollback } from "../protocol/session.js";

/** Characters of one topic's text. */
const MOST = 4 * 1024 * 1024;

/** What one attempt has said: parts by the message that brought them. */
interface TextPiece {
  origin: string;
  runId: string | undefined;
  parts: { id: string; text: string }[];
  text: string;
}

/** The text of each topic: what the newest run has said, and what was said by none. */
export class Texts {
  readonly #fields: Readonly<Record<string, { text?: string }>>;
  readonly #topics = new Map<string, TextPiece[]>();

  constructor(topics: Readonly<Record<string, { text?: string }>>) {
    this.#fields = topics;
  }

  /** Appends to the piece of its origin, or begins a new one at the end. */
  append(message: TopicMessage): void {
    const { topic, runId, id } = message;
    const text = textOf(message.data, this.#fields[topic]?.text);
    if (text === undefined) return;
    const origin = originOf(message);
    const said = this.#topics.get(topic) ?? [];
    const pieces = runId === undefined ? said : said.filter((piece) => piece.runId === undefined || piece.runId === runId);
    let piece = pieces.find((piece) => piece.origin === origin);
    if (!piece) pieces.push((piece = { origin, runId, parts: [], text: "" }));
    piece.parts.push({ id, text });
    piece.text += text;
    this.#topics.set(topic, pieces);
    bound(pieces);
  }

  /** What the topic has come to. */
  replace(topic: string, messages: readonly TopicMessage[]): void {
    this.#topics.delete(topic);
    for (const message of messages) this.append(message);
  }

  /** Takes away what is void. */
  rollback({ topic, id, after, ...origin }: Rollback): void {
    const isVoid = (partId: string) => compare(after, partId) < 0 && compare(partId, id) < 0;
    this.#keep(topic, (piece, partId) => piece.origin !== originOf(origin) || !isVoid(partId));
  }

  /** Takes away what came after the cursor. */
  cut(topic: string, keepTo: string): void {
    this.#keep(topic, (_, partId) => compare(partId, keepTo) <= 0);
  }

  clear(): void {
    this.#topics.clear();
  }

  /** The text by topic. */
  all(): Record<string, string> {
    const texts: Record<string, string> = {};
    for (const [topic, pieces] of this.#topics) texts[topic] = pieces.reduce((all, { text }) => all + text, "");
    return texts;
  }

  #keep(topic: string, isKept: (piece: TextPiece, partId: string) => boolean): void {
    for (const piece of this.#topics.get(topic) ?? []) {
      const parts = piece.parts.filter(({ id }) => isKept(piece, id));
      if (parts.length === piece.parts.length) continue;
      piece.parts = parts;
      piece.text = parts.map(({ text }) => text).join("");
    }
  }
}

function originOf({ runId, stepId, attempt }: { runId?: string; stepId?: string; attempt?: number }): string {
  return JSON.stringify([runId, stepId, attempt]);
}

/** The text of a payload: of the field that is named; else a string, or the only field with one. */
export function textOf(data: unknown, field?: string): string | undefined {
  if (typeof data === "string") return data;
  if (typeof data !== "object" || data === null) return undefined;
  const values = field === undefined ? Object.values(data) : [(data as Record<string, unknown>)[field]];
  const texts = values.filter((value) => typeof value === "string");
  return texts.length === 1 ? texts[0] : undefined;
}

/** Lets go of the oldest parts of what is too long. */
function bound(pieces: TextPiece[]): void {
  let size = pieces.reduce((size, { text }) => size + text.length, 0);
  for (const piece of pieces) {
    while (size > MOST && piece.parts.length > 1) {
      const length = piece.parts.shift()?.text.length ?? 0;
      piece.text = piece.text.slice(length);
      size -= length;
    }
  }
}
