// A front-end team's page over the quickstart's routes.

import { createElement as h, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { realtime, staticSchema } from "stepcast";
import { useRealtime, useRun } from "stepcast/react";

const pipeline = realtime.channel({
  name: ({ job }) => `pipeline:${job}`,
  topics: { status: { schema: staticSchema() }, tokens: { schema: staticSchema(), text: "token" } },
});

/** Every text that was shown. */
globalThis.texts = [];

const post = async (path, body) => {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return answer.json();
};

function Page() {
  const [{ job, run }, setAddress] = useState(() => Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
  const { connectionStatus, messages } = useRealtime({
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
    h("p", { id: "run" }, status),
    h("p", { id: "steps" }, steps.map(({ stepId, status }) => `${stepId} ${status}`).sort().join(", ")),
  );
}

createRoot(document.getElementById("root")).render(h(StrictMode, null, h(Page)));
