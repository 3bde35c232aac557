// The measured app, as a process of its own: three steps and one durable publish. Its first message is its URL.

import { Inngest } from "inngest";

import { startApp } from "../support/app.js";
import { pipelineChannel } from "../support/pipeline.js";
import { SILENT } from "../support/served.js";

const app = await startApp();
process.send(app.url);
process.on("message", (baseUrl) => {
  const inngest = new Inngest({ id: "bench", isDev: true, baseUrl, logger: SILENT });
  const generate = inngest.createFunction({ id: "generate", triggers: [{ event: "app/generate" }] }, async ({ event, step }) => {
    let sum = 0;
    for (const id of ["a", "b", "c"]) sum += await step.run(id, () => id.length);
    const { status } = pipelineChannel({ runId: event.data.channel });
    await step.realtime.publish("done", status, { message: event.data.name });
    return sum;
  });
  app.serve({ client: inngest, functions: [generate] });
  process.send("serving");
});
process.once("disconnect", () => process.exit());
