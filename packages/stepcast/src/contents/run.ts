/** Where a run is. */
export type RunStatus = "unknown" | "running" | "completed" | "failed" | "cancelled";

/** What is known of the run. */
export interface RunState {
  status: RunStatus;
  result: unknown;
  /** What the server has said of it last. */
  news: Record<string, unknown> | undefined;
}

/** Nothing is known yet. */
export const NOBODY: RunState = { status: "unknown", result: undefined, news: undefined };

/** What it is called, here and elsewhere; a run that waits is on its way. */
const NAMES: Record<string, RunStatus> = {
  queued: "running",
  retrying: "running",
  running: "running",
  in_progress: "running",
  completed: "completed",
  complete: "completed",
  succeeded: "completed",
  success: "completed",
  failed: "failed",
  error: "failed",
  cancelled: "cancelled",
  canceled: "cancelled",
};

export function isTerminal(status: RunStatus): boolean {
  return status !== "unknown" && status !== "running";
}

/** What news of a run make of what is known. */
export function onNews(state: RunState, data: unknown): RunState {
  if (typeof data !== "object" || data === null) return state;
  const news = data as Record<string, unknown>;
  const named = [news["runStatus"], news["status"], news["state"]].map((name) => NAMES[`${name}`.toLowerCase()]);
  const status = named.find((name) => name) ?? state.status;
  const output = "result" in news ? news["result"] : status === "completed" ? news["output"] : undefined;
  return { status, result: output ?? state.result, news };
}
