import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { RealtimeProvider } from "stepcast/react";

import { tokenFor } from "./api";
import { App } from "./App";

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <RealtimeProvider token={({ channel }) => tokenFor(channel)}>
      <App />
    </RealtimeProvider>
  </StrictMode>,
);
