// Apps and their functions, as they were registered.

import { h, list, say } from "./element.js";
import { ask } from "./server.js";
import { badge, moment, without } from "./shown.js";

const NOTHING = "No app is registered. Start yours with INNGEST_DEV=1, and name it: stepcast dev -u http://localhost:3000/api/inngest";

/** Apps with what is asked of them, those that cannot be taken in as well. */
function joined({ apps, handlers }) {
  const of = (app) => handlers.find((handler) => handler.app === app.name) ?? handlers.find((handler) => handler.url === app.url);
  const known = apps.map((app) => ({ key: app.name, app, handler: of(app) }));
  const taken = new Set(known.map(({ handler }) => handler));
  return [...known, ...handlers.filter((handler) => !taken.has(handler)).map((handler) => ({ key: handler.url, handler }))];
}

export function appsView() {
  const cards = h("ul", { className: "cards" });
  const nothing = h("p", { className: "nothing" }, NOTHING);
  const show = list(cards, ({ key }) => key, card);
  let shown = [];
  const render = () => {
    show(shown);
    nothing.hidden = shown.length > 0;
  };
  const refresh = async () => {
    shown = joined(await ask("v1/apps"));
    render();
  };
  return { element: h("section", {}, h("h1", {}, "Apps"), cards, nothing), refresh, tick: render, close() {} };
}

function card() {
  const [health, synced] = [badge(), moment()];
  const [name, url, sdk, count, how] = [h("h2"), h("code"), h("dd"), h("dd"), h("dd")];
  const error = h("p", { className: "error" });
  const fact = (label, shown) => h("div", {}, h("dt", {}, label), shown);
  const when = h("dd", {}, synced.element, how);
  const facts = h("dl", {}, fact("SDK", sdk), fact("Functions", count), fact("Last sync", when));
  return {
    element: h("li", {}, h("div", { className: "title" }, health.element, name), h("p", {}, url), facts, error),
    update({ app, handler }) {
      health.update(handler?.health ?? "up");
      say(name, app?.name ?? handler.app ?? "Not taken in");
      say(url, app?.url ?? handler?.url ?? "");
      say(sdk, [app?.sdk, app?.framework].filter(Boolean).join(", ") || "unknown");
      say(count, String(app?.functions.length ?? 0));
      synced.update(handler?.synced_at);
      say(how, handler ? (handler.synced_at ? "" : "never") : "registered itself");
      say(error, handler?.error ?? "");
      error.hidden = !handler?.error;
    },
  };
}

export function functionsView() {
  const rows = h("tbody");
  const head = ["Function", "Started by", "Retries"].map((name) => h("th", { scope: "col" }, name));
  const table = h("table", { className: "functions" }, h("thead", {}, h("tr", {}, ...head)), rows);
  const nothing = h("p", { className: "nothing" }, NOTHING);
  const show = list(rows, ({ slug }) => slug, functionRow);
  const refresh = async () => {
    const { apps } = await ask("v1/apps");
    const functions = apps.flatMap((app) => app.functions.map((known) => ({ ...known, app: app.name })));
    show(functions);
    [table.hidden, nothing.hidden] = [functions.length === 0, functions.length > 0];
  };
  return { element: h("section", {}, h("h1", {}, "Functions"), table, nothing), refresh, tick() {}, close() {} };
}

function functionRow() {
  const [name, id, marks] = [h("strong"), h("code"), h("span")];
  const triggers = h("ul");
  const retries = h("td", { className: "number" });
  let shown = "";
  return {
    element: h("tr", {}, h("td", { className: "what" }, name, " ", marks, h("div", {}, id)), h("td", {}, triggers), retries),
    update(known) {
      say(name, known.name);
      say(id, known.slug);
      say(retries, known.retries === 1 ? "1 retry" : `${known.retries} retries`);
      const next = JSON.stringify([known.triggers, known.ignored]);
      if (next === shown) return;
      shown = next;
      marks.replaceChildren(without(known.ignored) ?? "");
      triggers.replaceChildren(...known.triggers.map(trigger));
    },
  };
}

function trigger({ event, expression, cron }) {
  const condition = expression ? [" if ", h("code", {}, expression)] : [];
  return cron ? h("li", {}, "schedule ", h("code", {}, cron)) : h("li", {}, "event ", h("code", {}, event), ...condition);
}
