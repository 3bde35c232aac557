// The channel of the quick start, and what its readers look for.

import { realtime, staticSchema } from "inngest";
import { z } from "zod";

import { takeUntil } from "./deadline.js";

export const pipelineChannel = realtime.channel({
  name: ({ runId }) => `pipeline:${runId}`,
  topics: {
    status: { schema: z.object({ message: z.string(), step: z.string().optional() }) },
    tokens: { schema: staticSchema() },
  },
});
export const topics = ["status", "tokens"];

let names = 0;

/** A name of a channel that no other test uses. */
export function freshName() {
  return `r${process.pid}-${(names += 1)}`;
}

/** The messages of a subscription up to the one that tells the end of a run. Closes it. */
export async function untilRunEnded(messages) {
  try {
    return await takeUntil(messages, (message) => message.kind === "run", "the end of the run");
  } finally {
    messages.close();
  }
}

export function dataOf(messages, topic) {
  return messages.filter((message) => message.kind === "data" && message.topic === topic).map(({ data }) => data);
}
