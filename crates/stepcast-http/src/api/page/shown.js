// How values are shown to people.

import { h, say } from "./element.js";
import { cancel, now, rerun } from "./server.js";

const ENDED = new Set(["completed", "failed", "cancelled"]);

/** One word per status, whichever form the route has. */
export function statusOf({ status }) {
  const word = String(status).toLowerCase();
  return word === "scheduled" ? "queued" : word;
}

export function hasEnded(run) {
  return ENDED.has(statusOf(run));
}

/** A length of time. */
export function span(millis) {
  if (!(millis >= 0)) return "";
  if (millis < 1_000) return `${Math.round(millis)} ms`;
  if (millis < 10_000) return `${(millis / 1_000).toFixed(1)} s`;
  const seconds = Math.floor(millis / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How long ago something was. */
function ago(millis) {
  return millis < 1_000 ? "now" : `${span(millis).split(/(?<=[a-z]) /)[0].replace(/\.\d/, "")} ago`;
}

/** How long a run has been executed, or is so far. */
export function duration({ run_started_at: started, ended_at: ended }) {
  if (!started) return "";
  return span((ended ? Date.parse(ended) : now()) - Date.parse(started));
}

/** A status with its colour: `{ element, update(status) }`. */
export function badge() {
  const element = h("span", { className: "badge" });
  return {
    element,
    update(status) {
      element.dataset.status = status;
      say(element, status);
    },
  };
}

/** A point in time, relative to now: `{ element, update(text or milliseconds) }`. */
export function moment() {
  const element = h("time");
  return {
    element,
    update(at) {
      const time = at ? new Date(at) : undefined;
      element.dateTime = time?.toISOString() ?? "";
      element.title = time?.toLocaleString() ?? "";
      say(element, time ? ago(now() - time.getTime()) : "");
    },
  };
}

/** Options that a function asks for and that are not followed. */
export function without(ignored) {
  if (!ignored?.length) return undefined;
  const title = "The function asks for this, and it is not done yet.";
  return h("span", { className: "mark", title }, `without ${ignored.join(", ")}`);
}

/** JSON for reading. */
export function pretty(value) {
  return JSON.stringify(value, undefined, 2) ?? "";
}

/** Ends a run, or runs it again: `{ element, update(run) }`. `onDone(id)` gets the new run's id when there is one. */
export function action(tell, onDone) {
  let run;
  const element = h("button", { onclick: act });
  async function act() {
    const { run_id: id, function_id: name } = run;
    const isEnd = !hasEnded(run);
    if (isEnd && !confirm(`Cancel this run of ${name}? What it has done stays.`)) return;
    element.disabled = true;
    try {
      const again = isEnd ? void (await cancel(id)) : await rerun(id);
      tell(isEnd ? `Cancelled run ${id}.` : `Started run ${again}.`);
      onDone(again);
    } catch (error) {
      tell(`That did not work: ${error.message}`);
    } finally {
      element.disabled = false;
    }
  }
  return {
    element,
    update(next) {
      run = next;
      say(element, hasEnded(run) ? "Rerun" : "Cancel");
      element.setAttribute("aria-label", `${element.textContent} run ${run.run_id} of ${run.function_id}`);
    },
  };
}
