import { setTimeout } from "node:timers/promises";

import { draftChannel } from "./channels";
import { inngest } from "./client";

/** How long a model would think about a word. */
const WORD_MS = 120;

const DRAFT = "Dear team, the report is ready. Every number in it was checked twice, and nothing was lost on the way.";

export const writeDraft = inngest.createFunction(
  { id: "write-draft", triggers: [{ event: "drafts/requested" }] },
  async ({ event, publish, step }) => {
    const draft = draftChannel({ runId: event.data.runId });

    // At once. The function may run again from its beginning; this is published once all the same.
    await publish(draft.status, { message: "Writing…" });

    await step.run("write", async () => {
      for (const token of DRAFT.match(/\S+\s*/g) ?? []) {
        await setTimeout(WORD_MS);
        // When this attempt of the step fails, its words are taken back from every page, and those of the next one come in their place.
        await publish(draft.tokens, { token });
      }
    });

    // A step of its own: what must not be missed.
    await step.realtime.publish("tell-the-end", draft.status, { message: "Finished", step: "write" });
  },
);
