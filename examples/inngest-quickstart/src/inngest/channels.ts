import { realtime, staticSchema } from "stepcast";
import { z } from "zod";

/** What there is to see of one draft; functions publish to it, pages read it. */
export const draftChannel = realtime.channel({
  name: ({ runId }: { runId: string }) => `draft:${runId}`,
  topics: {
    status: { schema: z.object({ message: z.string(), step: z.string().optional() }) },
    tokens: { schema: staticSchema<{ token: string }>() },
  },
});
