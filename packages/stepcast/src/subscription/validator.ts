import type { TopicConfig } from "../definition/channel.js";
import type { StandardSchemaV1 } from "../definition/schema.js";
import { RealtimeError } from "../error.js";
import type { TopicMessage } from "../message.js";
import type { Change } from "../protocol/session.js";

/**
 * Holds messages against the schemas of their topics, and gives changes on in the order in which they came, also when a schema takes its
 * time. Messages that do not fit are left out and reported.
 */
export class Validator {
  readonly #topics: Readonly<Record<string, Partial<TopicConfig>>>;
  readonly #on: { change(change: Change): void; error(error: RealtimeError): void };
  #waiting: Promise<void> | undefined;

  constructor(
    topics: Readonly<Record<string, Partial<TopicConfig>>>,
    on: { change(change: Change): void; error(error: RealtimeError): void },
  ) {
    this.#topics = topics;
    this.#on = on;
  }

  take(change: Change): void {
    if (this.#waiting) return this.#wait(this.#waiting.then(() => this.#checked(change)));
    const checked = this.#checked(change);
    if (checked instanceof Promise) this.#wait(checked);
  }

  #wait(promise: Promise<void>): void {
    const waiting = promise.then(() => {
      if (this.#waiting === waiting) this.#waiting = undefined;
    });
    this.#waiting = waiting;
  }

  /** Gives the change on, at once when no schema has to be waited for. */
  #checked(change: Change): Promise<void> | void {
    if (change.kind === "message") {
      const give = (message: TopicMessage | undefined) => void (message && this.#on.change({ ...change, message }));
      const message = this.#message(change.message);
      return message instanceof Promise ? message.then(give) : give(message);
    }
    if (!("messages" in change) || !change.messages) return void this.#on.change(change);
    const all = change.messages.map((message) => this.#message(message));
    const give = (messages: (TopicMessage | undefined)[]) =>
      void this.#on.change({ ...change, messages: messages.filter((message) => message !== undefined) });
    return all.some((message) => message instanceof Promise) ? Promise.all(all).then(give) : give(all as TopicMessage[]);
  }

  #message(message: TopicMessage): TopicMessage | undefined | Promise<TopicMessage | undefined> {
    const schema = this.#topics[message.topic]?.schema;
    if (!schema) return message;
    const fail = (cause: unknown) => this.#refuse(message, cause);
    const read = (result: StandardSchemaV1.Result<unknown>) =>
      result.issues ? fail(result.issues) : { ...message, data: result.value };
    try {
      const result = schema["~standard"].validate(message.data);
      return result instanceof Promise ? result.then(read, fail) : read(result);
    } catch (cause) {
      return fail(cause);
    }
  }

  #refuse({ topic, id }: TopicMessage, cause: unknown): undefined {
    const why = Array.isArray(cause) ? (cause as StandardSchemaV1.Issue[]).map(({ message }) => message).join("; ") : String(cause);
    this.#on.error(new RealtimeError("invalid_message", `message ${id} of topic \`${topic}\` does not fit its schema: ${why}`, cause));
  }
}
