import { useState } from "react";
import { useRealtime } from "stepcast/react";

import { BeginForm, type BeginProps } from "./BeginForm";
import { greetingChannel } from "./channels";
import { Messages } from "./Messages";
import { States } from "./States";

export function GreetingForm({ onBegun }: BeginProps) {
  const [name, setName] = useState("Ada");
  return (
    <BeginForm kind="greeting" label="Greet me" wish={() => ({ name })} onBegun={onBegun}>
      <label>
        Your name <input value={name} onChange={(event) => setName(event.target.value)} required maxLength={80} />
      </label>
    </BeginForm>
  );
}

export function Greeting({ job, run }: { job: string; run?: string | undefined }) {
  const { connectionStatus, messages } = useRealtime({
    channel: greetingChannel({ job }),
    topics: ["status", "tokens"],
    from: "start",
  });
  return (
    <section aria-label="Greeting">
      <States connection={connectionStatus} run={run} />
      <h2 id="status">{messages.byTopic.status?.data.message}</h2>
      <p id="text" className="speech">{messages.text.tokens}</p>
      <Messages of={messages.all} />
    </section>
  );
}
