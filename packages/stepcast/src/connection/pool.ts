import { refusalOf } from "../error.js";
import type { RealtimeError } from "../error.js";
import { address } from "./address.js";
import type { Line, LineReader } from "./line.js";
import { createLink, type Link } from "./link.js";
import type { Platform } from "./platform.js";

/** WebSockets that failed in a row, beside HTTP that worked, before they count as blocked. */
const BLOCKED = 2;

/** The connections to one server. */
interface Host {
  readonly links: Set<Link>;
  /** How many WebSockets have failed in a row. */
  failures: number;
}

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
  const hosts = new Map<string, Host>();
  const hostOf = ({ origin }: LineReader) => {
    let host = hosts.get(origin);
    if (!host) hosts.set(origin, (host = { links: new Set(), failures: 0 }));
    return host;
  };

  return {
    platform,
    shared: new Map(),
    attach(reader) {
      const { links, failures } = hostOf(reader);
      const isOneWay = failures >= BLOCKED || !platform.WebSocket;
      const there = [...links].find((link) => link.takes(reader.session.channel));
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
      hostOf(reader).failures += 1;
      return undefined;
    },
    onWorking(reader) {
      hostOf(reader).failures = 0;
    },
  };
}
