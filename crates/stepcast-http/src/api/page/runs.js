// All runs, newest first.

import { h, list, say } from "./element.js";
import { ask } from "./server.js";
import { action, badge, duration, hasEnded, moment, statusOf, without } from "./shown.js";

const PAGE = 50;
/** So many older ones are looked at for those of a status, at one go. */
const LOOKED_AT = 1_000;
const ENOUGH = 20;
/** Older runs that go on are looked at one by one, no more of them than this at a time. */
const ONE_BY_ONE = 10;
const FILTERS = ["all", "queued", "running", "completed", "failed", "cancelled"];

export function runsView({ tell }) {
  let known = new Map();
  let isComplete = false;
  let filter = "all";

  const radio = (name) => {
    const input = h("input", { type: "radio", name: "status", value: name, checked: name === filter, onchange: () => choose(name) });
    return h("label", {}, input, h("span", {}, name));
  };
  const filters = h("fieldset", { className: "filters" }, h("legend", {}, "Status"), ...FILTERS.map(radio));
  const rows = h("tbody");
  const head = ["Status", "Run", "Started", "Duration", "Attempt", ""].map((name) => h("th", { scope: "col" }, name));
  const table = h("table", { className: "runs" }, h("thead", {}, h("tr", {}, ...head)), rows);
  const nothing = h("p", { className: "nothing" });
  const older = h("button", { className: "older", onclick: () => load(ENOUGH) }, "Older runs");
  const element = h("section", {}, h("h1", {}, "Runs"), filters, table, nothing, older);
  const show = list(rows, (run) => run.run_id, () => row(tell, refresh));

  function render() {
    const shown = [...known.values()].filter(isShown).sort((a, b) => (a.run_id < b.run_id ? 1 : -1));
    show(shown);
    table.hidden = shown.length === 0;
    older.hidden = isComplete;
    nothing.hidden = shown.length > 0;
    const which = filter === "all" ? "runs" : `${filter} runs`;
    say(nothing, isComplete ? `There are no ${which}.` : `There are no ${which} among the newest ${known.size}.`);
  }

  const isShown = (run) => filter === "all" || statusOf(run) === filter;
  const page = (cursor) => ask(`v1/runs?limit=${PAGE}${cursor ? `&cursor=${cursor}` : ""}`);
  const add = (runs) => runs.forEach((run) => known.set(run.run_id, run));

  async function refresh() {
    const newest = await page();
    const isGap = newest.length === PAGE && !newest.some((run) => known.has(run.run_id));
    // Who was away for long begins anew, so that nothing is missing in between.
    if (isGap) [known, isComplete] = [new Map(), false];
    if (newest.length < PAGE) isComplete = true;
    add(newest);
    const seen = new Set(newest.map((run) => run.run_id));
    const open = [...known.values()].filter((run) => !hasEnded(run) && !seen.has(run.run_id)).slice(0, ONE_BY_ONE);
    for (const { run_id: id } of open) known.set(id, await ask(`v1/runs/${id}`));
    render();
  }

  /** Reads older runs until so many more are shown. */
  async function load(count) {
    older.disabled = true;
    try {
      for (let found = 0, seen = 0; found < count && seen < LOOKED_AT && !isComplete; ) {
        const runs = await page([...known.keys()].sort()[0]);
        add(runs);
        found += runs.filter(isShown).length;
        seen += runs.length;
        isComplete = runs.length < PAGE;
      }
    } catch (error) {
      tell(`Older runs cannot be read: ${error.message}`);
    }
    older.disabled = false;
    render();
  }

  function choose(name) {
    filter = name;
    render();
    const missing = ENOUGH - [...known.values()].filter(isShown).length;
    if (missing > 0 && !isComplete) load(missing);
  }

  return { element, refresh, tick: render, close() {} };
}

/** One run. */
function row(tell, onDone) {
  const [status, started, act] = [badge(), moment(), action(tell, onDone)];
  const link = h("a");
  const marks = h("span");
  const error = h("p", { className: "error" });
  const id = h("code");
  const [time, attempt] = [h("td", { className: "number" }), h("td", { className: "number" })];
  const element = h(
    "tr",
    {},
    h("td", { className: "status" }, status.element),
    h("td", { className: "what" }, link, " ", marks, h("div", {}, id), error),
    h("td", {}, started.element),
    time,
    attempt,
    h("td", { className: "act" }, act.element),
  );
  let ignored = "";
  return {
    element,
    update(run) {
      element.dataset.run = run.run_id;
      status.update(statusOf(run));
      say(link, run.function_id);
      link.href = `#/runs/${run.run_id}`;
      if (ignored !== String(run.ignored ?? "")) {
        ignored = String(run.ignored ?? "");
        marks.replaceChildren(without(run.ignored) ?? "");
      }
      say(id, run.run_id);
      say(error, run.error?.message ?? "");
      error.hidden = !run.error;
      started.update(run.run_started_at ?? run.created_at);
      say(time, duration(run));
      say(attempt, run.attempt > 1 ? `attempt ${run.attempt}` : "");
      act.update(run);
    },
  };
}
