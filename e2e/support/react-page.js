// A front-end team's page over the quickstart's routes, with the channels that were generated from it. With `outdated` in its address it is an
// old page: it was generated from another schema of the topic `status`. With `platform`, it reads in another way.

import { createElement as h, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { realtime } from "stepcast";
import { longPoll } from "stepcast/long-poll";
import { RealtimeProvider, useRealtime, useRun } from "stepcast/react";
import { shared } from "stepcast/shared";

import { pipeline as generated } from "../../examples/quickstart/channels.ts";

const { status, tokens } = generated.topics;
const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const isOld = "outdated" in asked;
const platform = { shared, "long-poll": longPoll }[asked.platform]?.();
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
  const [address, setAddress] = useState(asked);
  const { job, run } = address;
  const { connectionStatus, messages, error } = useRealtime({
    channel: pipeline({ job }),
    topics: ["status", "tokens"],
    from: "start",
    token: () => post("/token", { job }).then(({ token }) => token),
  });
  const { status, steps } = useRun(run, { token: () => post("/run-token", { run }).then(({ token }) => token) });
  const start = async () => {
    const { run_id } = await post("/start", { job });
    const begun = { ...address, run: run_id };
    location.hash = new URLSearchParams(begun);
    setAddress(begun);
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

createRoot(document.getElementById("root")).render(h(StrictMode, null, h(RealtimeProvider, { platform }, h(Page))));
