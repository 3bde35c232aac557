// A page that shows the text of one topic, and keeps what it costs: renders, frames, long tasks, and how long the text takes to come.

import { createElement as h, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { useRealtime } from "stepcast/react";

const { channel, topic, token, bufferInterval, apiBaseUrl } = Object.fromEntries(new URLSearchParams(location.search));

/** `reached` is when, in milliseconds since the navigation, so many characters were on the screen. */
const figures = { renders: [], frames: [], longTasks: [], reached: [], began: performance.now() };
globalThis.figures = figures;

new PerformanceObserver((list) => figures.longTasks.push(...list.getEntries().map(({ startTime, duration }) => ({ startTime, duration })))).observe({
  type: "longtask",
  buffered: true,
});
requestAnimationFrame(function onFrame(now) {
  figures.frames.push(now);
  requestAnimationFrame(onFrame);
});

function Page() {
  const { connectionStatus, messages } = useRealtime({
    channel,
    topics: [topic],
    from: "start",
    apiBaseUrl,
    token: () => fetch(token).then((response) => response.text()),
    bufferInterval: Number(bufferInterval),
  });
  const text = messages.text[topic] ?? "";
  figures.renders.push(performance.now());
  useEffect(() => {
    figures.length = text.length;
    // After the paint.
    requestAnimationFrame(() => setTimeout(() => figures.reached.push([performance.now(), text.length])));
  }, [text]);
  return h("main", null, h("p", { id: "connection" }, connectionStatus), h("p", { id: "text" }, text));
}

createRoot(document.getElementById("root")).render(h(Page));
