import type { LineReader } from "./line.js";

/** Where a reader's channel is read from where it is. The route ends where its parameters go on. */
export function address({ origin, session, token }: LineReader, route: string): string {
  const { from } = session;
  return `${origin}/v1/realtime/${route}token=${token!.key}${from ? `&from=${encodeURIComponent(from)}` : ""}`;
}
