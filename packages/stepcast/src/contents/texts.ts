import type { TopicMessage } from "../message.js";

/** Characters of one topic's text. */
const MOST = 4 * 1024 * 1024;

/** Where something comes from. */
export type Source = Pick<TopicMessage, "id" | "runId" | "stepId" | "attempt">;

/** Text that a message has brought. */
type Part = Source & { text: string };

/** What one attempt has said. */
interface Piece {
  runId: string | undefined;
  parts: Part[];
  text: string;
}

/** The text of each topic: what the newest run has said, and what was said by none. */
export interface Texts {
  /** Appends to the piece of its origin, or begins a new one at the end. */
  add(message: TopicMessage): void;
  /** Takes away what messages have brought that are gone. */
  remove(topic: string, isGone: (source: Source) => boolean): void;
  /** The text by topic. */
  all(): Record<string, string>;
}

export function createTexts(fields: Readonly<Record<string, { text?: string }>>): Texts {
  const topics = new Map<string, Map<string, Piece>>();
  return {
    add({ topic, id, runId, stepId, attempt, data }) {
      const text = textOf(data, fields[topic]?.text);
      if (text === undefined) return;
      const pieces = topics.get(topic) ?? new Map<string, Piece>();
      topics.set(topic, pieces);
      let size = text.length;
      for (const [key, piece] of pieces) {
        // A second run replaces the first.
        if (runId && piece.runId && piece.runId !== runId) pieces.delete(key);
        else size += piece.text.length;
      }
      const origin = JSON.stringify([runId, stepId, attempt]);
      const piece = pieces.get(origin) ?? { runId, parts: [], text: "" };
      pieces.set(origin, piece);
      piece.parts.push({ id, runId, stepId, attempt, text });
      piece.text += text;
      for (const piece of pieces.values()) {
        // What is too long loses its beginning.
        while (size > MOST && piece.parts.length > 1) {
          const { length } = piece.parts.shift()!.text;
          piece.text = piece.text.slice(length);
          size -= length;
        }
      }
    },
    remove(topic, isGone) {
      for (const piece of topics.get(topic)?.values() ?? []) {
        piece.parts = piece.parts.filter((part) => !isGone(part));
        piece.text = piece.parts.map(({ text }) => text).join("");
      }
    },
    all() {
      const texts: Record<string, string> = {};
      for (const [topic, pieces] of topics) for (const { text } of pieces.values()) texts[topic] = (texts[topic] ?? "") + text;
      return texts;
    },
  };
}

/** The text of a payload: of the field that is named; else a string, or the only field with one. */
export function textOf(data: unknown, field?: string): string | undefined {
  const fields = Object(data) as Record<string, unknown>;
  const values = typeof data === "string" ? [data] : field === undefined ? Object.values(fields) : [fields[field]];
  const [text, more] = values.filter((value) => typeof value === "string");
  return more === undefined ? text : undefined;
}
