// What the types of this package say, and refuse.
import { realtime, staticSchema, Stepcast, type Message } from "stepcast";
import { RealtimeProvider, useRealtime, useRun, type UseRealtimeResult } from "stepcast/react";
import { getSubscriptionToken, subscribe } from "stepcast/realtime";
import { z } from "zod";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>) => {};

const pipeline = realtime.channel({
  name: ({ runId }: { runId: string }) => `pipeline:${runId}` as const,
  topics: {
    status: { schema: z.object({ message: z.string(), step: z.string().optional() }) },
    count: { schema: z.string().transform(Number) },
    tokens: { schema: staticSchema<{ token: string }>(), text: "token" },
  },
});
const chat = realtime.channel({ name: "chat", topics: { said: { schema: staticSchema<string>() } } });
const ch = pipeline({ runId: "r" });

same<typeof ch.name, `pipeline:${string}`>(true);
same<typeof chat.name, "chat">(true);
same<(typeof pipeline.$infer)["count"], string>(true);
same<Message<typeof ch, "count">["data"], number>(true);
same<Message<typeof ch, "status">["data"], { message: string; step?: string | undefined }>(true);
// @ts-expect-error a parameter is missing
pipeline({});
// @ts-expect-error there is no such topic
ch.other;

export async function core(stepcast: Stepcast) {
  await stepcast.realtime.publish(ch.count, "1");
  // @ts-expect-error the schema takes a string
  await stepcast.realtime.publish(ch.count, 1);
  const token = await getSubscriptionToken(stepcast, { channel: ch, topics: ["tokens"] });
  same<typeof token.topics, ["tokens"]>(true);
  // @ts-expect-error there is no such topic
  await subscribe({ channel: ch, topics: ["other"], token });
  for await (const message of await subscribe({ ...token, topics: ["tokens", "$run"] })) {
    if (message.topic === "tokens") same<typeof message.data, { token: string }>(true);
  }
  await subscribe({ channel: ch, topics: ["status", "count"], token, onMessage: (message) => void (message.topic satisfies "status" | "count") });
  await subscribe({ channel: "any", topics: ["any"], token, from: "last:5" });
}

export function hooks({ runId }: { runId?: string }) {
  const topics = ["status", "tokens"] as const;
  const result = useRealtime({ channel: runId === undefined ? undefined : pipeline({ runId }), topics, token: () => fetch("/token").then((answer) => answer.text()) });
  const { connectionStatus, runStatus, messages } = result;
  connectionStatus satisfies "idle" | "connecting" | "open" | "paused" | "closed" | "error";
  runStatus satisfies "unknown" | "running" | "completed" | "failed" | "cancelled";
  if (result.connectionStatus === "error") result.error.code satisfies string;
  if (result.connectionStatus === "paused") result.pauseReason satisfies "hidden" | "disabled";
  messages.byTopic.status?.data.message satisfies string | undefined;
  messages.text.tokens satisfies string | undefined;
  // @ts-expect-error it is not read
  messages.byTopic.count;
  for (const message of messages.all) if (message.topic === "tokens") message.data.token satisfies string;
  const selected = useRealtime({ channel: ch, topics: ["tokens"], select: ({ messages }) => messages.byTopic.tokens?.data.token });
  same<typeof selected, string | undefined>(true);
  useRealtime({ token: { channel: "c", topics: ["t"], key: "k" } });
  // @ts-expect-error there is no such topic
  useRealtime({ channel: ch, topics: ["other"] });
  useRun(runId).steps[0]?.stepId satisfies string | undefined;
  RealtimeProvider({ token: async ({ channel }) => channel });
  return result satisfies UseRealtimeResult<typeof ch, typeof topics>;
}
