import { nameOf } from "../definition/channel.js";
import { RealtimeError } from "../error.js";
import type { TopicMessage } from "../message.js";
import { compare } from "../protocol/cursor.js";
import type { Change } from "../protocol/session.js";

/**
 * What of each change is new to somebody who takes messages only and keeps them: nothing comes twice, and what cannot be said in messages
 * is an error.
 */
export class Fresh {
  readonly #fields: Readonly<Record<string, { text?: string }>>;
  /** The last message that was given, by topic. */
  readonly #given = new Map<string, string>();
  /** What was given of each attempt, by topic, where the channel says that it is text. */
  readonly #texts = new Map<string, Map<string, string>>();

  constructor(topics: Readonly<Record<string, { text?: string }>>) {
    this.#fields = topics;
  }

  of(change: Change): { messages: TopicMessage[]; error?: RealtimeError } {
    switch (change.kind) {
      case "run":
        return { messages: [] };
      case "message":
        this.#give(change.message);
        return { messages: [change.message] };
      case "snapshot":
        return this.#snapshot(change.topic, change.messages);
      case "rollback": {
        if (change.messages) this.#texts.set(change.topic, new Map(change.messages.map((piece) => [keyOf(piece), this.#textOf(piece)])));
        const text = `attempt ${change.attempt} has failed; what it had published to \`${change.topic}\` after ${change.after} is void`;
        return { messages: [], error: new RealtimeError("rolled_back", text) };
      }
      case "gap": {
        if (!this.#given.has(change.topic)) return { messages: [] };
        this.#texts.delete(change.topic);
        const text = `messages of \`${change.topic}\` after ${change.keepTo} are gone (${change.reason}); what is left comes again`;
        return { messages: [], error: new RealtimeError("gap", text) };
      }
    }
  }

  #snapshot(topic: string, pieces: readonly TopicMessage[]): { messages: TopicMessage[]; error?: RealtimeError } {
    const before = this.#texts.get(topic) ?? new Map<string, string>();
    const given = this.#given.get(topic);
    const messages = pieces
      .filter(({ id }) => given === undefined || compare(id, given) > 0)
      .map((piece) => this.#rest(piece, before.get(keyOf(piece)) ?? ""));
    const isVoid = [...before.keys()].some((key) => !pieces.some((piece) => keyOf(piece) === key));
    if (this.#fields[topic]?.text) this.#texts.set(topic, new Map(pieces.map((piece) => [keyOf(piece), this.#textOf(piece)])));
    const last = pieces.map(({ id }) => id).sort(compare).at(-1);
    if (last && (given === undefined || compare(last, given) > 0)) this.#given.set(topic, last);
    const text = `an attempt has failed while nobody was told; what it had published to \`${topic}\` is void`;
    return isVoid ? { messages, error: new RealtimeError("rolled_back", text) } : { messages };
  }

  #give(message: TopicMessage): void {
    const { topic, id } = message;
    this.#given.set(topic, id);
    if (!this.#fields[topic]?.text) return;
    const texts = this.#texts.get(topic) ?? new Map<string, string>();
    texts.set(keyOf(message), (texts.get(keyOf(message)) ?? "") + this.#textOf(message));
    this.#texts.set(topic, texts);
  }

  /** The message with what was not given yet of its text. */
  #rest(piece: TopicMessage, before: string): TopicMessage {
    const field = this.#fields[piece.topic]?.text;
    const text = this.#textOf(piece);
    if (!field || before === "" || !text.startsWith(before)) return piece;
    const { isSnapshot: _, ...message } = piece;
    return { ...message, data: { ...(piece.data as object), [field]: text.slice(before.length) } };
  }

  #textOf({ topic, data }: TopicMessage): string {
    const text = (data as Record<string, unknown> | null)?.[this.#fields[topic]?.text ?? ""];
    return typeof text === "string" ? text : "";
  }
}

function keyOf({ channel, runId, stepId, attempt }: TopicMessage): string {
  return JSON.stringify([nameOf(channel), runId, stepId, attempt]);
}
