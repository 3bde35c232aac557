import { Stepcast } from "stepcast";
import { getClientSubscriptionToken } from "stepcast/react";

export async function GET() {
  return Response.json(await getClientSubscriptionToken(new Stepcast(), { channel: "chat", topics: ["said"] }));
}

export const dynamic = "force-dynamic";
