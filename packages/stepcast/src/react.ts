"use client";
/**
 * Reads channels in React.
 *
 * @module
 */
export type { ClientSubscriptionToken, SubscriptionToken, TokenInput } from "./connection/token.js";
export { RealtimeError } from "./error.js";
export type { RealtimeErrorCode } from "./error.js";
export { RealtimeProvider } from "./react/provider.js";
export type { RealtimeProviderProps } from "./react/provider.js";
export type { Gap, Messages, UseRealtimeConnectionStatus, UseRealtimeResult, UseRealtimeRunStatus } from "./react/result.js";
export { useRealtime } from "./react/use-realtime.js";
export type { UseRealtimeOptions } from "./react/use-realtime.js";
export { useRun } from "./react/use-run.js";
export type { RunFailure, StepState, UseRunOptions, UseRunResult } from "./react/use-run.js";
export { getClientSubscriptionToken } from "./server/token.js";
