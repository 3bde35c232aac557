import type { ChannelFrame } from "../protocol/frame.js";

/** What is read, in words that are the same in every tab. */
export interface Subject {
  readonly origin: string;
  readonly channel: string;
  readonly topics: readonly string[];
}

/** What a tab says to the one that reads for all. */
export type Request =
  | { readonly kind: "join" | "auth"; readonly tab: string; readonly subject: Subject; readonly key: string }
  | { readonly kind: "leave"; readonly tab: string; readonly subject: Subject }
  | { readonly kind: "ping"; readonly tab: string };

/** What the one that reads for all says. Without a tab, it is for every one that reads this. */
export type News =
  /** This is read from the cursor on, for so many seconds. */
  | { readonly kind: "joined"; readonly tab: string; readonly subject: Subject; readonly cursor: string; readonly seconds?: number | undefined }
  | { readonly kind: "frame"; readonly subject: Subject; readonly frame: ChannelFrame }
  | { readonly kind: "down"; readonly subject: Subject; readonly tab?: string; readonly code?: number }
  | { readonly kind: "pong"; readonly tab: string }
  /** Another tab reads for all from now on. */
  | { readonly kind: "leader" };

/** What tabs share: somewhere to talk, and locks that end with their tab. */
export interface Meeting {
  readonly talk: Pick<BroadcastChannel, "postMessage" | "addEventListener">;
  readonly locks: { request(name: string, callback: () => Promise<unknown> | unknown): Promise<unknown> };
}

/** Where tabs meet. */
export const NAME = "stepcast";

/** How a subject is called. */
export function nameOfSubject({ origin, channel, topics }: Subject): string {
  return JSON.stringify([origin, channel, [...topics].sort()]);
}
