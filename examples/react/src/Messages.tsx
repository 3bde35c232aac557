import { memo } from "react";
import type { Message } from "stepcast";

/** How many are shown. */
const MOST = 40;

/** What has come, newest first, folded away until somebody wants it. */
export const Messages = memo(function Messages({ of: messages }: { of: readonly Message[] }) {
  return (
    <details>
      <summary>Messages</summary>
      <ol id="messages">
        {messages
          .slice(-MOST)
          .reverse()
          .map(({ id, topic, data, isSnapshot }) => (
            <li key={`${topic} ${id}`}>
              <span>{id}</span> {topic} <q>{shortened(JSON.stringify(data))}</q>
              {isSnapshot && " so far"}
            </li>
          ))}
      </ol>
    </details>
  );
});

function shortened(text: string): string {
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
