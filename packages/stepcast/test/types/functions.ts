// The quick start's shape: an application of npm `inngest` whose functions publish.
import { Inngest } from "inngest";
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

export const generate = inngest.createFunction(
  { id: "generate", triggers: [{ event: "app/generate" }] },
  async ({ event, publish, step }) => {
    const ch = pipelineChannel({ runId: event.data.runId });
    await publish(ch.status, { message: "Starting..." });
    // @ts-expect-error a payload that does not fit its topic
    await publish(ch.status, { message: 1 });
    await step.run("stream-output", async () => {
      for (const token of ["Hello", " ", "world"]) await publish(ch.tokens, { token });
    });
    await step.realtime.publish("final-status", ch.status, { message: "Done!", step: "complete" });
    await inngest.realtime.publish(ch.tokens, { token: "x" });
  },
);
