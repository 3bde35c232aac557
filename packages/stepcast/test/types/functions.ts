// The quick start's shape: an application of npm `inngest` whose functions publish.
import { Inngest, realtime as theirs, staticSchema as theirSchema } from "inngest";
import { realtime, staticSchema } from "stepcast";
import { PublishMiddleware } from "stepcast/inngest";
import { z } from "zod";

export const inngest = new Inngest({ id: "app", middleware: [PublishMiddleware] });

export const pipelineChannel = realtime.channel({
  name: ({ runId }: { runId: string }) => `pipeline:${runId}`,
  topics: {
    status: { schema: z.object({ message: z.string(), step: z.string().optional() }) },
    tokens: { schema: staticSchema<{ token: string }>() },
  },
});

const theirChannel = theirs.channel({
  name: ({ runId }: { runId: string }) => `their:${runId}`,
  topics: {
    status: { schema: z.object({ message: z.string() }) },
    tokens: { schema: theirSchema<{ token: string }>() },
  },
});

export const generate = inngest.createFunction(
  { id: "generate", triggers: [{ event: "app/generate" }] },
  async ({ event, publish, step }) => {
    const ch = pipelineChannel({ runId: event.data.runId });
    await publish(ch.status, { message: "Starting..." });
    // @ts-expect-error a payload that does not fit its topic
    await publish(ch.status, { message: 1 });
    const their = theirChannel({ runId: event.data.runId });
    await publish(their.status, { message: "Starting..." });
    // @ts-expect-error the same where npm `inngest` has declared the channel
    await publish(their.status, { message: 1 });
    // @ts-expect-error and where its schema is only a type
    await publish(their.tokens, { token: 1 });
    // @ts-expect-error as with a schema of ours
    await publish(ch.tokens, { token: 1 });
    await step.run("stream-output", async () => {
      for (const token of ["Hello", " ", "world"]) await publish(ch.tokens, { token });
    });
    await step.realtime.publish("final-status", ch.status, { message: "Done!", step: "complete" });
    await inngest.realtime.publish(ch.tokens, { token: "x" });
  },
);
