import { type ChangeEvent, useState } from "react";
import { useRealtime } from "stepcast/react";

import { BeginForm, type BeginProps } from "./BeginForm";
import { importChannel } from "./channels";
import { sampleOrders } from "./sample";
import { States } from "./States";

export function ImportForm({ onBegun }: BeginProps) {
  const [csv, setCsv] = useState(sampleOrders);
  const read = async ({ target }: ChangeEvent<HTMLInputElement>) => {
    const file = target.files?.[0];
    if (file) setCsv(await file.text());
  };
  return (
    <BeginForm kind="import" label="Import" wish={() => ({ csv })} onBegun={onBegun}>
      <label className="wide">
        Orders <textarea value={csv} onChange={(event) => setCsv(event.target.value)} rows={5} spellCheck={false} />
      </label>
      <label>
        or a file <input type="file" accept=".csv,text/csv,text/plain" onChange={read} />
      </label>
    </BeginForm>
  );
}

export function Import({ job, run }: { job: string; run?: string | undefined }) {
  const { connectionStatus, messages } = useRealtime({
    channel: importChannel({ job }),
    topics: ["progress", "refused", "summary"],
    from: "start",
    historyLimit: null,
  });
  const { progress, summary } = messages.byTopic;
  const { rows, total } = progress?.data ?? { rows: 0, total: 0 };
  const refused = messages.all.flatMap((message) => (message.topic === "refused" ? [{ id: message.id, ...message.data }] : []));
  return (
    <section aria-label="Import">
      <States connection={connectionStatus} run={run} />
      <progress value={rows} max={total || 1} aria-label="Rows read" />
      <p id="status">{summary ? summaryOf(summary.data) : progress ? `${rows} of ${total} rows` : "waiting for the first rows"}</p>
      {refused.length > 0 && (
        <>
          <h3>Refused</h3>
          <ol id="refused">
            {refused.map(({ id, line, reason }) => (
              <li key={id}>
                <b>line {line}</b> {reason}
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function summaryOf({ orders, refused, cents }: { orders: number; refused: number; cents: number }): string {
  const sum = (cents / 100).toLocaleString("en", { minimumFractionDigits: 2 });
  return `${orders} orders taken in, ${refused} refused, ${sum} in all`;
}
