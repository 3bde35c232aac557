import { type StepState, useRun } from "stepcast/react";

/** More steps are counted, not shown. */
const MOST_STEPS = 6;

/** Where the connection, the run and its steps are. */
export function States({ connection, run }: { connection: string; run: string | undefined }) {
  const { status, steps: all } = useRun(run);
  const steps = all.filter(({ verb }) => verb === "run");
  const earlier = Math.max(0, steps.length - MOST_STEPS);
  return (
    <ul className="states" aria-label="States">
      <li id="connection" className={connection}>{connection}</li>
      <li id="run" className={status}>run {status}</li>
      {earlier > 0 && <li>{earlier} steps before</li>}
      {steps.slice(earlier).map((step) => (
        <li key={`${step.stepId} ${step.verb}`} className={step.status}>{described(step)}</li>
      ))}
    </ul>
  );
}

function described({ stepId, status, attempt }: StepState): string {
  const again = attempt > 1 ? `, attempt ${attempt}` : "";
  return `${stepId} ${status}${again}`;
}
