import { RealtimeError } from "../error.js";

/** Where a server is: its origin. */
export function originOf(base: string): string {
  try {
    return new URL(base).origin;
  } catch {
    throw new RealtimeError("no_server", `address of the server is none: \`${base.slice(0, 80)}\``);
  }
}

/** An address of realtime on a server. */
export function address(origin: string, route: "connect" | "sse" | "messages", query: Record<string, string | undefined>): string {
  const url = new URL(`/v1/realtime/${route}`, origin);
  if (route === "connect") url.protocol = url.protocol === "http:" ? "ws:" : "wss:";
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
  return url.href;
}
