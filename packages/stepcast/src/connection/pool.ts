import { refusalOf } from "../error.js";
import type { RealtimeError } from "../error.js";
import { address } from "./address.js";
import type { Line, LineReader } from "./line.js";
import { createLink, type Link } from "./link.js";
import type { Platform } from "./platform.js";

/** WebSockets that failed in a row, beside HTTP that worked, before they count as blocked. */
const BLOCKED = 2;

/**
 * The connections of a tab: one WebSocket per server. A channel that is read in two ways at once takes a second one, as a connection has one
 * place per channel.
 */
export interface Pool {
  readonly platform: Platform;
  /** What is read over these connections by more than one part of a page, by what it is. */
  readonly shared: Map<string, unknown>;
  attach(reader: LineReader): Line;
  /** Asks by HTTP why a connection did not come about: browsers do not say. Gives nothing when only WebSockets fail. */
  diagnose(reader: LineReader): Promise<RealtimeError | undefined>;
  /** A WebSocket has worked. */
  onWorking(reader: LineReader): void;
}

export function createPool(platform: Platform): Pool {
  const links = new Set<Link>();
  /** How many WebSockets have failed in a row, by server. */
  const failures = new Map<string, number>();
  const failuresOf = ({ origin }: LineReader) => failures.get(origin) ?? 0;

  return {
    platform,
    shared: new Map(),
    attach(reader) {
      const isOneWay = failuresOf(reader) >= BLOCKED || !platform.WebSocket;
      const there = [...links].find((link) => link.takes(reader));
      const link: Link = there ?? createLink(platform, isOneWay, () => links.delete(link));
      links.add(link);
      link.attach(reader);
      return link;
    },
    async diagnose(reader) {
      const url = address(reader, "messages?wait=0&limit=1&");
      const response = await platform.fetch(url, { cache: "no-store" }).catch(() => undefined);
      if (!response) return undefined;
      if (!response.ok) return refusalOf(response);
      void response.body?.cancel().catch(() => {});
      failures.set(reader.origin, failuresOf(reader) + 1);
      return undefined;
    },
    onWorking: ({ origin }) => void failures.delete(origin),
  };
}
