// The quick start's page: one run on a channel, as `useRealtime` of npm inngest shows it.

import { realtime, staticSchema } from "inngest";
import { useRealtime } from "inngest/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { z } from "zod";

const pipelineChannel = realtime.channel({
  name: ({ runId }) => `pipeline:${runId}`,
  topics: {
    status: { schema: z.object({ message: z.string(), step: z.string().optional() }) },
    tokens: { schema: staticSchema() },
  },
});

const asked = new URLSearchParams(location.search);
const topics = asked.get("topics").split(",");

/** As the quick start has it, the token is text and the page says where the server is; an object says it itself. */
function realtimeOptions() {
  const token = () => fetch(`/api/realtime-token${location.search}`);
  return asked.has("apiBaseUrl")
    ? { token: () => token().then((response) => response.text()), apiBaseUrl: asked.get("apiBaseUrl") }
    : { token: () => token().then((response) => response.json()) };
}

function Pipeline({ runId }) {
  const { connectionStatus, runStatus, messages, result, error } = useRealtime({
    channel: pipelineChannel({ runId }),
    topics,
    ...realtimeOptions(),
  });
  window.statuses ??= [];
  if (window.statuses.at(-1) !== runStatus) window.statuses.push(runStatus);
  return (
    <div>
      <p id="connection">{connectionStatus}</p>
      <p id="run">{runStatus}</p>
      <p id="result">{JSON.stringify(result)}</p>
      <p id="error">{error?.message}</p>
      {messages.byTopic.status && <p id="status">{messages.byTopic.status.data.message}</p>}
      <ul id="all">
        {messages.all.map((message, index) => (
          <li key={index}>
            [{message.topic}] {JSON.stringify(message.data)}
          </li>
        ))}
      </ul>
    </div>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <Pipeline runId={asked.get("runId")} />
  </StrictMode>,
);
