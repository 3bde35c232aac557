import type { TopicConfig } from "../definition/channel.js";
import type { StandardSchemaV1 } from "../definition/schema.js";
import { RealtimeError } from "../error.js";
import type { TopicMessage } from "../message.js";
import { type Change, messagesOf, type Rollback } from "../protocol/session.js";

/** A message that fits its schema; nothing when it does not. */
type Checked = TopicMessage | undefined;

/**
 * Holds messages against the schemas of their topics, and gives changes on in the order in which they came, also when a schema takes its
 * time. Messages that do not fit are left out and reported.
 */
export function createValidator(
  topics: Readonly<Record<string, Partial<TopicConfig>>>,
  on: { onChange(change: Change): void; onError(error: RealtimeError): void },
): (change: Change) => void {
  let waiting: Promise<void> | undefined;

  function check(message: TopicMessage): Checked | Promise<Checked> {
    const { topic, id, data } = message;
    const schema = topics[topic]?.schema;
    if (!schema) return message;
    const read = (result: StandardSchemaV1.Result<unknown>) => {
      const { issues } = result;
      if (!issues) return { ...message, data: result.value };
      const why = issues.map(({ message }) => message).join("; ");
      on.onError(new RealtimeError("invalid_message", `message ${id} of topic \`${topic}\` does not fit its schema: ${why}`, issues));
      return undefined;
    };
    // A schema that throws is one that refuses.
    const fail = (cause: StandardSchemaV1.Issue) => read({ issues: [cause] });
    try {
      const result = schema["~standard"].validate(data);
      return result instanceof Promise ? result.then(read, fail) : read(result);
    } catch (cause) {
      return fail(cause as Error);
    }
  }

  function give(change: Change, checked: Checked[]): void {
    const messages = checked.filter((message) => message !== undefined);
    if (change.kind !== "message") on.onChange((change as Rollback).messages ? ({ ...change, messages } as Rollback) : change);
    else if (messages[0]) on.onChange({ ...change, message: messages[0] });
  }

  return (change) => {
    const checked = messagesOf(change).map(check);
    if (!waiting && !checked.some((message) => message instanceof Promise)) return give(change, checked as Checked[]);
    const mine = Promise.all([waiting, ...checked]).then(([_, ...checked]) => {
      if (waiting === mine) waiting = undefined;
      give(change, checked);
    });
    waiting = mine;
  };
}
