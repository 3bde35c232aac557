import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

import DraftPage from "./page";

/** The address keeps which draft is shown, so that a reload and a friend with the link see the same. */
function App() {
  const [runId, setRunId] = useState(location.hash.slice(1));
  const [error, setError] = useState("");

  async function write() {
    const fresh = crypto.randomUUID();
    history.replaceState(null, "", `#${fresh}`);
    setRunId(fresh);
    const response = await fetch(`/api/drafts?runId=${fresh}`, { method: "POST" });
    setError(response.ok ? "" : `The draft was not begun: the server answered ${response.status}.`);
  }

  return (
    <main>
      <h1>Drafts</h1>
      <p>Functions of npm inngest, a page of React, and a Stepcast server between them.</p>
      <button onClick={write}>Write a draft</button>
      {error && <p role="alert">{error}</p>}
      {runId && <DraftPage key={runId} runId={runId} />}
    </main>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
