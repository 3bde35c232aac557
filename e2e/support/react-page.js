// A front-end team's page over the quickstart's routes, with the channels that were generated from it. With `outdated` in its address it is an
// old page: it was generated from another schema of the topic `status`.

import { createElement as h, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { realtime } from "stepcast";
import { useRealtime, useRun } from "stepcast/react";

import { pipeline as generated } from "../../examples/quickstart/channels.ts";

const { status, tokens } = generated.topics;
const isOld = new URLSearchParams(location.hash.slice(1)).has("outdated");
const pipeline = isOld
  ? realtime.channel({ name: ({ job }) => generated({ job }).name, topics: { status: { ...status, schemaHash: "00000000" }, tokens } })
  : generated;

/** Every text that was shown. */
globalThis.texts = [];

const post = async (path, body) => {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return answer.json();
};

function Page() {
  const [{ job, run }, setAddress] = useState(() => Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
  const { connectionStatus, messages, error } = useRealtime({
    channel: pipeline({ job }),
    topics: ["status", "tokens"],
    from: "start",
    token: () => post("/token", { job }).then(({ token }) => token),
  });
  const { status, steps } = useRun(run, { token: () => post("/run-token", { run }).then(({ token }) => token) });
  const start = async () => {
    const { run_id } = await post("/start", { job });
    location.hash = new URLSearchParams({ job, run: run_id });
    setAddress({ job, run: run_id });
  };
  const text = messages.text.tokens ?? "";
  if (globalThis.texts.at(-1) !== text) globalThis.texts.push(text);
  return h(
    "main",
    null,
    h("button", { id: "start", onClick: start }, "Start"),
    h("p", { id: "connection" }, connectionStatus),
    h("p", { id: "status" }, messages.byTopic.status?.data.message ?? ""),
    h("p", { id: "text" }, text),
    h("p", { id: "error" }, error?.code ?? ""),
    h("p", { id: "run" }, status),
    h("p", { id: "steps" }, steps.map(({ stepId, status }) => `${stepId} ${status}`).sort().join(", ")),
  );
}

createRoot(document.getElementById("root")).render(h(StrictMode, null, h(Page)));
