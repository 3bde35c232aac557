import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import PipelinePage from "./page";

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <PipelinePage runId={location.hash.slice(1)} />
  </StrictMode>,
);
