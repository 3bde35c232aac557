// What is shown stands in the page's address, so that a reload, a second tab and a friend with the link see the same.

import { useSyncExternalStore } from "react";

export const KINDS = ["greeting", "answer", "import"] as const;
export type Kind = (typeof KINDS)[number];

export interface Address {
  kind: Kind;
  /** The name of the channel, chosen by the page, and the run that the server has begun for it. */
  job?: string | undefined;
  run?: string | undefined;
}

export function useAddress(): Address {
  const hash = useSyncExternalStore(onHash, () => location.hash);
  const [kind, job, run] = hash.slice(1).split("/");
  return { kind: KINDS.find((known) => known === kind) ?? "greeting", job: job || undefined, run: run || undefined };
}

export function go({ kind, job = "", run = "" }: Address): void {
  location.hash = [kind, job, run].filter(Boolean).join("/");
}

function onHash(onChange: () => void): () => void {
  addEventListener("hashchange", onChange);
  return () => removeEventListener("hashchange", onChange);
}
