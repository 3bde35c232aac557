import type { StreamReader } from "./platform.js";

/** Where a reader's channel is read from where it is. The route ends where its parameters go on. */
export function address({ origin, session, token }: StreamReader, route: string): string {
  const { from } = session;
  return `${origin}/v1/realtime/${route}token=${token!.key}${from ? `&from=${encodeURIComponent(from)}` : ""}`;
}
