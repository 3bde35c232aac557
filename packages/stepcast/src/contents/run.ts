/** Where a run is, as the hook says it. */
export type RunStatus = "unknown" | "running" | "completed" | "failed" | "cancelled";

/** Where a run is, with what only those who watch it itself are told. */
export type RunProgress = "unknown" | "queued" | "running" | "retrying" | "completed" | "failed" | "cancelled";

/** What is known of the run. */
export interface RunState {
  status: RunProgress;
  result: unknown;
  /** What the server has said of it last. */
  news: Record<string, unknown> | undefined;
}

const NAMES: Record<string, RunProgress> = {
  queued: "queued",
  retrying: "retrying",
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

export function isTerminal(status: RunProgress): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** What the hook's status is for a run that has come so far: one that waits is on its way. */
export function asRunStatus(status: RunProgress): RunStatus {
  return status === "queued" || status === "retrying" ? "running" : status;
}

/** What news of a run make of what is known. */
export function onNews(state: RunState, data: unknown): RunState {
  if (typeof data !== "object" || data === null) return state;
  const news = data as Record<string, unknown>;
  const named = [news["runStatus"], news["status"], news["state"]].map((name) => NAMES[String(name).toLowerCase()]);
  const status = named.find((name) => name !== undefined) ?? state.status;
  const output = "result" in news ? news["result"] : status === "completed" ? news["output"] : undefined;
  return { status, result: output ?? state.result, news };
}
