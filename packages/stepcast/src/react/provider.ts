import { createContext, createElement, type ReactNode, useContext, useMemo } from "react";

import type { Platform } from "../connection/platform.js";
import type { Pool } from "../connection/pool.js";
import type { TokenValue } from "../connection/token.js";
import { poolOf, registry } from "../subscription/registry.js";

/** What hooks below use unless they say otherwise. */
export interface RealtimeProviderProps {
  /** Where the server is. */
  apiBaseUrl?: string | undefined;
  /** Gets tokens. */
  token?: ((request: { channel: string; topics: readonly string[] }) => TokenValue | Promise<TokenValue>) | undefined;
  /** Reads what is not read by WebSocket. */
  fetch?: Platform["fetch"] | undefined;
  /** For tests, and environments that are unusual. */
  platform?: Platform | undefined;
  children?: ReactNode;
}

interface Setting extends Pick<RealtimeProviderProps, "apiBaseUrl" | "token"> {
  readonly pool?: Pool;
}

const Context = createContext<Setting>({});

/**
 * Says for all hooks below where the server is and how tokens are got.
 *
 * @example
 * ```tsx
 * <RealtimeProvider token={({ channel }) => fetch(`/api/token?channel=${channel}`).then((answer) => answer.text())}>
 *   <App />
 * </RealtimeProvider>
 * ```
 */
export function RealtimeProvider(props: RealtimeProviderProps): ReactNode {
  const { apiBaseUrl, token, fetch, platform, children } = props;
  const pool = useMemo(() => {
    const by = platform ?? registry().platform;
    return poolOf(fetch ? Object.create(by, { fetch: { value: fetch } }) : by);
  }, [fetch, platform]);
  const value = useMemo(() => ({ apiBaseUrl, token, pool }), [apiBaseUrl, token, pool]);
  return createElement(Context.Provider, { value }, children);
}

/** What the nearest provider says. */
export function useSetting(): Setting & { pool: Pool } {
  const setting = useContext(Context);
  return { ...setting, pool: setting.pool ?? poolOf() };
}
