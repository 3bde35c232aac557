/**
 * What of `stepcast/react` works in React Server Components: minting tokens. The hooks say where they belong.
 *
 * @module
 */
export type { ClientSubscriptionToken, SubscriptionToken, TokenInput } from "./connection/token.js";
export { RealtimeError } from "./error.js";
export type { RealtimeErrorCode } from "./error.js";
export { getClientSubscriptionToken } from "./server/token.js";

function clientOnly(name: string): never {
  throw new Error(`\`${name}\` works in client components only; begin the file that uses it with "use client"`);
}

export const useRealtime = (): never => clientOnly("useRealtime");
export const useRun = (): never => clientOnly("useRun");
export const RealtimeProvider = (): never => clientOnly("RealtimeProvider");
