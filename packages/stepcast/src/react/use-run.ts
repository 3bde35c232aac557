import { useMemo } from "react";

import type { TokenInput } from "../connection/token.js";
import type { RunStatus } from "../contents/run.js";
import type { RealtimeError } from "../error.js";
import type { UseRealtimeConnectionStatus } from "./result.js";
import { useRealtime } from "./use-realtime.js";

/** Where a run is, with what only those who watch it itself are told. */
export type RunProgress = RunStatus | "queued" | "retrying";

/** Where one step of a run is. */
export interface StepState {
  stepId: string;
  /** What it does: `run`, `publish`, `sleep` and others. */
  verb: string;
  status: "retrying" | "waiting" | "completed" | "failed" | (string & {});
  attempt: number;
  /** Milliseconds from its first attempt to its end. */
  durationMs?: number;
  error?: RunFailure;
}

/** Why a run or a step has failed, or its last attempt. */
export interface RunFailure {
  code: string;
  message: string;
}

/** What `useRun` gives. */
export interface UseRunResult {
  /** Where the run is, with `queued` and `retrying`. */
  status: RunProgress;
  /** Which attempt of the function's body this is, from 1. */
  attempt: number | undefined;
  /** What the run has returned, if it lets those who watch see it. */
  result: unknown;
  /** Why it has failed, or its last attempt. */
  failure: RunFailure | null;
  /** Its steps, in the order in which they began. */
  steps: StepState[];
  connectionStatus: UseRealtimeConnectionStatus;
  error: RealtimeError | null;
}

/** How a run is watched. */
export interface UseRunOptions {
  /** A token for the run: what `stepcast.run_token(run)` mints, or one for the topics `$run` and `$step` of the channel named by its id. */
  token?: TokenInput;
  apiBaseUrl?: string;
  enabled?: boolean;
}

/**
 * Where a run and its steps are. It takes the id that `send` has given, not one of the application's own.
 *
 * @example
 * ```tsx
 * const { status, steps } = useRun(runId, { token: () => fetch(`/api/run-token?run=${runId}`).then((answer) => answer.text()) });
 * ```
 */
export function useRun(runId: string | undefined, options: UseRunOptions = {}): UseRunResult {
  const { run, all, connectionStatus, error } = useRealtime({
    ...options,
    channel: runId,
    topics: ["$run", "$step"],
    from: "start",
    historyLimit: null,
    select: (result) => {
      const { run, messages } = result as unknown as { run: { status: RunStatus; news?: Record<string, unknown> }; messages: { all: unknown[] } };
      return { run, messages, all: messages.all, connectionStatus: result.connectionStatus, error: result.error };
    },
    isEqual: (before, after) =>
      before.run === after.run && before.messages === after.messages && before.connectionStatus === after.connectionStatus && before.error === after.error,
  });
  const steps = useMemo(() => stepsOf(all as { topic: string; data: Record<string, unknown> }[]), [all]);
  const { news } = run;
  return {
    status: /^(queued|retrying)$/.test(`${news?.["status"]}`) ? (news?.["status"] as RunProgress) : run.status,
    attempt: news?.["attempt"] as number | undefined,
    result: news?.["result"],
    failure: (news?.["error"] as RunFailure | undefined) ?? null,
    steps,
    connectionStatus,
    error,
  };
}

/** The newest that is said of each step. */
function stepsOf(messages: { topic: string; data: Record<string, unknown> }[]): StepState[] {
  const steps = new Map<unknown, Record<string, unknown>>();
  for (const { topic, data } of messages) if (topic === "$step") steps.set(data["step_id"], data);
  const inOrder = [...steps.values()].sort((a, b) => String(a["began_at"]).localeCompare(String(b["began_at"])));
  return inOrder.map(({ step_id, verb, status, attempt, duration_ms, error }) => ({
    stepId: String(step_id),
    verb: String(verb),
    status: String(status),
    attempt: Number(attempt),
    ...(duration_ms === undefined ? {} : { durationMs: Number(duration_ms) }),
    ...(error === undefined ? {} : { error: error as RunFailure }),
  }));
}
