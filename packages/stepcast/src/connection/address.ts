import type { StreamReader } from "./platform.js";

/** Where a reader's channel is read from where it is. The route ends where its parameters go on. */
export function address({ origin, session, token }: StreamReader, route: string): string {
  let url = `${origin}/v1/realtime/${route}token=${token!.key}`;
  const { from, schemas } = session;
  if (from) url += `&from=${encodeURIComponent(from)}`;
  for (const topic in schemas) if (schemas[topic]) url += `&schema=${schemas[topic]}:${encodeURIComponent(topic)}`;
  return url;
}
