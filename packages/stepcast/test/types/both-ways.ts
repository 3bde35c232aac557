// Channels and tokens of npm `inngest` and of this package stand for each other.
import { Inngest, realtime as theirs, staticSchema as theirSchema } from "inngest";
import { getSubscriptionToken as theirToken, subscribe as theirSubscribe } from "inngest/realtime";
import { getClientSubscriptionToken as theirClientToken, useRealtime as theirHook } from "inngest/react";
import { realtime, staticSchema, Stepcast } from "stepcast";
import { getClientSubscriptionToken, useRealtime } from "stepcast/react";
import { PublishMiddleware } from "stepcast/inngest";
import { getSubscriptionToken, type Message, observe, prefetch, subscribe } from "stepcast/realtime";
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
  const { key } = await theirClientToken(inngest, { channel: ours, topics: ["said"] });
  theirHook({ channel: ours, topics: ["said"] as const, token: async () => ({ key }) });
  // @ts-expect-error there is no such topic
  await theirToken(inngest, { channel: ours, topics: ["other"] });
  return text;
}

const publishing = new Inngest({ id: "app", middleware: [PublishMiddleware] });
export const theirFunction = publishing.createFunction({ id: "f", triggers: [{ event: "app/f" }] }, async ({ publish, step }) => {
  await publish(other.said, { text: "x" });
  await step.realtime.publish("ours", ours.said, { text: "x" });
  await step.realtime.publish("theirs", other.tokens, { token: "x" });
});

/** What they give for a message is one of ours, which says more. */
export async function messagesAreTheSame() {
  const token = await theirToken(inngest, { channel: other, topics: ["said"] });
  const { value } = await (await theirSubscribe(token)).getReader().read();
  if (value?.kind === "data") value satisfies Pick<Message<typeof ours, "said">, "channel" | "topic"> & { data: { text: string } };
}

export async function theirsIsOurs() {
  await stepcast.realtime.publish(other.said, { text: "x" });
  await stepcast.realtime.token({ channel: other, topics: ["said"] });
  await getSubscriptionToken(inngest, { channel: other, topics: ["said"] });
  await getClientSubscriptionToken(inngest, { channel: other, topics: ["said"] });
  const messages = await subscribe({ channel: other, topics: ["said", "tokens"], app: inngest });
  for await (const message of messages) if (message.topic === "said") return message.data.text satisfies string;
  await prefetch({ app: inngest, channel: other, topics: ["said"] });
  observe({ channel: other, topics: ["said"], token: "k" }, ({ messages }) => messages.last);
  // @ts-expect-error there is no such topic
  await subscribe({ channel: other, topics: ["else"], app: inngest });
  const { messages: shown } = useRealtime({ channel: other, topics: ["tokens"], token: "k" });
  return shown.byTopic.tokens?.data.token satisfies string | undefined;
}
