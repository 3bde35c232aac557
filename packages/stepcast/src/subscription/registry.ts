import { type Platform, platform } from "../connection/platform.js";
import { createPool, type Pool } from "../connection/pool.js";

/** Changes whenever what is shared does. */
const VERSION = 1;

/** What copies of this package on one page share: the connections, and what is read over them. */
export interface Registry {
  readonly version: number;
  readonly platform: Platform;
  readonly pools: WeakMap<Platform, Pool>;
}

const SHARED = Symbol.for("stepcast");
let own: Registry | undefined;

/** The page's registry; our own, when it is of another version. */
export function registry(): Registry {
  const scope = globalThis as { [SHARED]?: Registry };
  if (own) return own;
  own = { version: VERSION, platform, pools: new WeakMap() };
  const shared = (scope[SHARED] ??= own);
  if (shared.version === VERSION) own = shared;
  return own;
}

/** The connections that are made by these means. */
export function poolOf(by: Platform = registry().platform): Pool {
  const { pools } = registry();
  let pool = pools.get(by);
  if (!pool) pools.set(by, (pool = createPool(by)));
  return pool;
}
