import { type FormEvent, type ReactNode, useState } from "react";

import { begin } from "./api";

/** The page chooses the job's name, so it can show the job before the server has answered. */
export interface BeginProps {
  onBegun: (job: string, run?: string) => void;
}

interface BeginFormProps extends BeginProps {
  kind: string;
  label: string;
  wish: () => Record<string, unknown>;
  children?: ReactNode;
}

export function BeginForm({ kind, label, wish, onBegun, children }: BeginFormProps) {
  const [error, setError] = useState("");

  async function submit(event: FormEvent) {
    event.preventDefault();
    const job = crypto.randomUUID();
    setError("");
    try {
      const run = await begin(kind, { job, ...wish() });
      onBegun(job, run);
    } catch (cause) {
      setError(`It was not begun: ${(cause as Error).message}.`);
    }
  }

  return (
    <form onSubmit={submit}>
      {children}
      <button type="submit" className="primary">{label}</button>
      {error && <p role="alert">{error}</p>}
    </form>
  );
}
