// The routes that the quick start leaves to its readers.

import type { IncomingMessage, ServerResponse } from "node:http";

import { serve } from "inngest/node";
import { getClientSubscriptionToken } from "inngest/react";

import { pipelineChannel } from "../inngest/channels";
import { inngest } from "../inngest/client";
import { generate } from "../inngest/functions";

const serveFunctions = serve({ client: inngest, functions: [generate] });

export async function handle(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://app");
  if (pathname === "/api/inngest") return serveFunctions(request, response);
  const runId = searchParams.get("runId") ?? "";
  if (pathname === "/api/generate") {
    const { ids } = await inngest.send({ name: "app/generate", data: { runId } });
    return response.end(ids[0]);
  }
  const token = await getClientSubscriptionToken(inngest, { channel: pipelineChannel({ runId }), topics: ["status", "tokens"] });
  return response.end(JSON.stringify(token));
}
