// What a server of your own would answer: Inngest's calls, the page's tokens, and its wish for a draft.

import type { IncomingMessage, ServerResponse } from "node:http";

import { serve } from "inngest/node";
import { getClientSubscriptionToken } from "stepcast/react";

import { draftChannel } from "../inngest/channels";
import { inngest } from "../inngest/client";
import { writeDraft } from "../inngest/functions";

const serveFunctions = serve({ client: inngest, functions: [writeDraft] });

export async function handle(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://app");
  if (pathname === "/api/inngest") return serveFunctions(request, response);

  const runId = searchParams.get("runId");
  if (!runId) return answer(response, 400, { error: `${pathname} needs a runId; add ?runId=…` });
  switch (`${request.method} ${pathname}`) {
    case "GET /api/realtime-token": {
      // The place to ask who is there, and whether they may see this draft.
      const channel = draftChannel({ runId });
      return answer(response, 200, await getClientSubscriptionToken(inngest, { channel, topics: ["status", "tokens"] }));
    }
    case "POST /api/drafts":
      return answer(response, 202, await inngest.send({ name: "drafts/requested", data: { runId } }));
    default:
      return answer(response, 404, { error: `there is no ${request.method} ${pathname}` });
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
