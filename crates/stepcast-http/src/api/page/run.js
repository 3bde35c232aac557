// One run with its steps, as they go.

import { h, list, say } from "./element.js";
import { ask, follow } from "./server.js";
import { action, badge, duration, hasEnded, moment, pretty, span, statusOf, without } from "./shown.js";

export function runView({ tell }, id) {
  let run, event;
  let news = {};
  const steps = new Map();

  const [status, created, started] = [badge(), moment(), moment()];
  const act = action(tell, (again) => (again ? (location.hash = `#/runs/${again}`) : refresh()));
  const title = h("h1");
  const marks = h("span");
  const facts = { attempt: h("dd"), duration: h("dd"), event: h("dd") };
  const fact = (name, ...shown) => h("div", {}, h("dt", {}, name), ...shown);
  const error = h("div", { className: "trouble", role: "group" });
  const rows = h("tbody");
  const head = ["Status", "Step", "Duration", "Attempt"].map((name) => h("th", { scope: "col" }, name));
  const table = h("table", { className: "steps" }, h("thead", {}, h("tr", {}, ...head)), rows);
  const nothing = h("p", { className: "nothing" }, "No step has begun.");
  const result = h("pre", { tabIndex: 0 });
  const data = h("pre", { tabIndex: 0 });
  const others = h("ul", { className: "others" });
  const part = (name, ...shown) => h("section", { className: "part" }, h("h2", {}, name), ...shown);
  const parts = { result: part("Result", result), event: part("Event", data), others: part("Runs of the same event", others) };
  const element = h(
    "article",
    {},
    h("p", { className: "back" }, h("a", { href: "#/runs" }, "All runs")),
    h("div", { className: "title" }, status.element, title, marks, act.element),
    h("p", {}, h("code", {}, id)),
    h(
      "dl",
      {},
      fact("Created", h("dd", {}, created.element)),
      fact("Started", h("dd", {}, started.element)),
      fact("Duration", facts.duration),
      fact("Attempt", facts.attempt),
      fact("Event", facts.event),
    ),
    error,
    part("Steps", table, nothing),
    parts.result,
    parts.event,
    parts.others,
  );
  const showSteps = list(rows, (step) => step.step_id, stepRow);
  const showOthers = list(others, (other) => other.run_id, otherRow);

  function render() {
    if (!run) return;
    // News are as good, and say what waits for its next attempt.
    status.update(hasEnded(run) ? statusOf(run) : (news.status ?? statusOf(run)));
    say(title, run.function_id);
    document.title = `${run.function_id} ${statusOf(run)} · Stepcast`;
    marks.replaceChildren(without(run.ignored) ?? "");
    act.update(run);
    created.update(run.created_at);
    started.update(run.run_started_at);
    say(facts.duration, duration(run));
    say(facts.attempt, String(Math.max(run.attempt, news.attempt ?? 0)));
    showError(hasEnded(run) ? run.error : (news.error ?? run.error));
    showSteps([...steps.values()].sort((a, b) => (a.began_at < b.began_at ? -1 : a.began_at > b.began_at ? 1 : 0)));
    [table.hidden, nothing.hidden] = [steps.size === 0, steps.size > 0];
    parts.result.hidden = statusOf(run) !== "completed";
    say(result, pretty(run.output ?? null));
    parts.event.hidden = !event;
    say(facts.event, event?.name ?? "");
    say(data, pretty(event?.data));
  }

  let shownError = "";
  function showError(failure) {
    error.hidden = !failure;
    const stack = hasEnded(run) ? run.output?.stack : undefined;
    const text = pretty([failure, stack]);
    if (text === shownError) return;
    shownError = text;
    const causes = (failure?.causes ?? []).map((cause) => h("p", {}, `caused by: ${cause}`));
    const trace = stack ? h("details", {}, h("summary", {}, "Stack"), h("pre", { tabIndex: 0 }, stack)) : undefined;
    error.replaceChildren(...[h("code", {}, failure?.code ?? ""), h("p", {}, failure?.message ?? ""), ...causes, trace].filter(Boolean));
  }

  async function refresh() {
    if (!run || !hasEnded(run)) run = await ask(`v1/runs/${id}`);
    // An event may be of a time that is not kept any more.
    event ??= await ask(`v1/events/${run.event_id}`).catch(() => undefined);
    render();
    const siblings = await ask(`v1/events/${run.event_id}/runs`).catch(() => []);
    const more = siblings.filter((other) => other.run_id !== id).reverse();
    showOthers(more);
    parts.others.hidden = more.length === 0;
  }

  const stop = follow(id, (topic, said) => {
    if (topic === "$step") steps.set(said.step_id, said);
    else news = said;
    render();
    if (topic === "$run" && hasEnded(said) && run && !hasEnded(run)) refresh().catch(() => {});
  });

  return { element, refresh, tick: render, close: stop };
}

/** One step. */
function stepRow() {
  const status = badge();
  const [name, verb, time, attempt] = [h("strong"), h("span", { className: "verb" }), h("td", { className: "number" }), h("td", { className: "number" })];
  const error = h("p", { className: "error" });
  const element = h("tr", {}, h("td", { className: "status" }, status.element), h("td", { className: "what" }, name, verb, error), time, attempt);
  return {
    element,
    update(step) {
      element.dataset.step = step.step_id;
      status.update(step.status);
      say(name, step.step_id);
      say(verb, [step.verb.replaceAll("_", " "), step.target].filter(Boolean).join(" "));
      say(error, step.error ? `${step.error.code}: ${step.error.message}` : "");
      error.hidden = !step.error;
      say(time, step.duration_ms === undefined ? "" : span(step.duration_ms));
      say(attempt, step.attempt > 1 ? `attempt ${step.attempt}` : "");
    },
  };
}

/** Another run of the event. */
function otherRow() {
  const [status, started, link] = [badge(), moment(), h("a")];
  return {
    element: h("li", {}, status.element, " ", link, " ", started.element),
    update(run) {
      status.update(statusOf(run));
      link.href = `#/runs/${run.run_id}`;
      say(link, `${run.function_id} ${run.run_id}`);
      started.update(run.run_started_at ?? run.created_at);
    },
  };
}
