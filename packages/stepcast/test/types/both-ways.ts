// Channels and tokens of npm `inngest` and of this package stand for each other.
import { Inngest, realtime as theirs, staticSchema as theirSchema } from "inngest";
import { getSubscriptionToken as theirToken, subscribe as theirSubscribe } from "inngest/realtime";
import { useRealtime as theirHook } from "inngest/react";
import { realtime, staticSchema, Stepcast } from "stepcast";
import { getClientSubscriptionToken, useRealtime } from "stepcast/react";
import { getSubscriptionToken, subscribe } from "stepcast/realtime";
import { z } from "zod";

const inngest = new Inngest({ id: "app" });
const stepcast = new Stepcast();

const topics = { said: { schema: z.object({ text: z.string() }) }, tokens: { schema: staticSchema<{ token: string }>() } };
const ours = realtime.channel({ name: ({ id }: { id: string }) => `chat:${id}`, topics })({ id: "1" });
const other = theirs.channel({ name: ({ id }: { id: string }) => `chat:${id}`, topics: { said: topics.said, tokens: { schema: theirSchema<{ token: string }>() } } })({ id: "1" });

export async function oursIsTheirs() {
  await inngest.realtime.publish(ours.said, { text: "x" });
  const token = await theirToken(inngest, { channel: ours, topics: ["said"] });
  await theirSubscribe({ ...token, topics: ["said"] });
  const { messages } = theirHook({ channel: ours, topics: ["said"] as const, token: { key: "k" } });
  const text: string | undefined = messages.byTopic.said?.data.text;
  return text;
}

export async function theirsIsOurs() {
  await stepcast.realtime.publish(other.said, { text: "x" });
  await stepcast.realtime.token({ channel: other, topics: ["said"] });
  await getSubscriptionToken(inngest, { channel: other, topics: ["said"] });
  await getClientSubscriptionToken(inngest, { channel: other, topics: ["said"] });
  const messages = await subscribe({ channel: other, topics: ["said", "tokens"], app: inngest });
  for await (const message of messages) if (message.topic === "said") return message.data.text satisfies string;
  const { messages: shown } = useRealtime({ channel: other, topics: ["tokens"], token: "k" });
  return shown.byTopic.tokens?.data.token satisfies string | undefined;
}
