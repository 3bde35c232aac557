import { refusalOf } from "../error.js";
import type { RealtimeError } from "../error.js";
import { address } from "./address.js";
import { EventStream } from "./event-stream.js";
import type { Line, LineReader } from "./line.js";
import { Link } from "./link.js";
import type { Platform } from "./platform.js";
import type { Token } from "./token.js";

/** WebSockets that failed in a row, beside HTTP that worked, before they count as blocked. */
const BLOCKED = 2;

/**
 * The connections of a tab: one WebSocket per server. A channel that is read in two ways at once takes a second one, as a connection has one
 * place per channel.
 */
export class Pool {
  readonly platform: Platform;
  /** What is read over these connections by more than one part of a page, by what it is. */
  readonly shared = new Map<string, unknown>();
  readonly #links = new Map<string, Set<Link>>();
  readonly #failures = new Map<string, number>();

  constructor(platform: Platform) {
    this.platform = platform;
  }

  attach(origin: string, reader: LineReader, token: Token): Line {
    const isBlocked = (this.#failures.get(origin) ?? 0) >= BLOCKED;
    if (isBlocked || !this.platform.WebSocket) return new EventStream(this.platform, origin, reader, token);
    const links = this.#links.get(origin) ?? new Set();
    this.#links.set(origin, links);
    let link = [...links].find((link) => link.takes(reader.session.channel));
    if (!link) {
      link = new Link(this.platform, origin, (gone) => links.delete(gone));
      links.add(link);
    }
    link.attach(reader, token);
    return link;
  }

  /** Asks by HTTP why a WebSocket did not come about: browsers do not say. Gives nothing when only WebSockets fail. */
  async diagnose(origin: string, reader: LineReader, token: Token): Promise<RealtimeError | undefined> {
    const url = address(origin, "messages", { token: token.key, from: reader.session.from, wait: "0", limit: "1" });
    let response: Response;
    try {
      response = await this.platform.fetch(url, { cache: "no-store" });
    } catch {
      return undefined;
    }
    if (!response.ok) return refusalOf(response);
    await response.body?.cancel().catch(() => {});
    this.#failures.set(origin, (this.#failures.get(origin) ?? 0) + 1);
    return undefined;
  }

  /** A WebSocket has worked. */
  onWorking(origin: string): void {
    this.#failures.delete(origin);
  }
}
