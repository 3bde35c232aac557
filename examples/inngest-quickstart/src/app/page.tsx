"use client";

import { useRealtime } from "stepcast/react";

import { draftChannel } from "../inngest/channels";

const topics = ["status", "tokens"] as const;

export default function DraftPage({ runId }: { runId: string }) {
  const { connectionStatus, runStatus, messages } = useRealtime({
    channel: draftChannel({ runId }),
    topics,
    token: () => fetch(`/api/realtime-token?runId=${runId}`).then((response) => response.text()),
  });

  return (
    <article>
      <p className="states">
        <span id="connection" className={connectionStatus}>{connectionStatus}</span>
        <span id="run" className={runStatus}>{runStatus}</span>
      </p>
      {messages.byTopic.status && <h2 id="status">{messages.byTopic.status.data.message}</h2>}
      <p id="text">{messages.text.tokens}</p>
      <h3>Messages</h3>
      <ol id="messages">
        {messages.all.map((message) => (
          <li key={message.id}>
            [{message.topic}] {JSON.stringify(message.data)}
          </li>
        ))}
      </ol>
    </article>
  );
}
