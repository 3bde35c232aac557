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
    await step.realtime.publish("done", pipelineChannel({ runId: event.data.runId }).status, { message: event.data.name });
    return sum;
  });
  app.serve({ client: inngest, functions: [generate] });
  process.send("serving");
});
process.once("disconnect", () => process.exit());
