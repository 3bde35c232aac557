import { useState } from "react";
import { useRealtime } from "stepcast/react";

import { BeginForm, type BeginProps } from "./BeginForm";
import { answerChannel } from "./channels";
import { Messages } from "./Messages";
import { States } from "./States";

const LENGTHS = { "a paragraph": 99, "1,000 words": 1_000, "10,000 words": 10_000 };

export function AskForm({ onBegun }: BeginProps) {
  const [words, setWords] = useState(LENGTHS["a paragraph"]);
  const [breaks, setBreaks] = useState(true);
  return (
    <BeginForm kind="answer" label="Ask" wish={() => ({ words, breaks })} onBegun={onBegun}>
      <p className="question">What is a durable function?</p>
      <label>
        Answer in{" "}
        <select value={words} onChange={(event) => setWords(Number(event.target.value))}>
          {Object.entries(LENGTHS).map(([name, words]) => (
            <option key={name} value={words}>{name}</option>
          ))}
        </select>
      </label>
      <label>
        <input type="checkbox" checked={breaks} onChange={(event) => setBreaks(event.target.checked)} /> and lose the model in the middle, once
      </label>
    </BeginForm>
  );
}

export function Answer({ job, run }: { job: string; run?: string | undefined }) {
  const [taken, setTaken] = useState(0);
  const { connectionStatus, messages } = useRealtime({
    channel: answerChannel({ job }),
    topics: ["tokens", "usage"],
    from: "start",
    // A page need not show every word for itself.
    bufferInterval: 50,
    onRollback: (ids) => setTaken((taken) => taken + ids.length),
  });
  const { text, byTopic } = messages;
  return (
    <section aria-label="Answer">
      <States connection={connectionStatus} run={run} />
      <p id="text" className={byTopic.usage ? "speech" : "speech writing"}>{text.tokens}</p>
      <p id="status" className="quiet">
        {taken > 0 && "The model was lost in the middle: what it had said was taken back. "}
        {byTopic.usage && `${byTopic.usage.data.words.toLocaleString("en")} words.`}
      </p>
      <Messages of={messages.all} />
    </section>
  );
}
