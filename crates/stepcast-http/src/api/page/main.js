// The page: which view is shown, and when it asks again.

import { appsView, functionsView } from "./apps.js";
import { h, say } from "./element.js";
import { runView } from "./run.js";
import { runsView } from "./runs.js";
import { Refusal, ask, key } from "./server.js";

const AGAIN_MS = 1_500;
const READY_EVERY_MS = 10_000;

const [main, trouble, said, server, leave] = ["main", "trouble", "said", "server", "leave"].map((id) => document.getElementById(id));
const views = { runs: (page, id) => (id ? runView(page, id) : runsView(page)), functions: functionsView, apps: appsView };
const page = { tell };

let view, name, later;

/** Says what has come of something. */
function tell(text) {
  said.textContent = text;
  said.classList.add("fresh");
  clearTimeout(tell.later);
  tell.later = setTimeout(() => said.classList.remove("fresh"), 6_000);
}

/** Shows what the address names. */
function open() {
  const [, section = "", id] = location.hash.split("/");
  const known = Object.hasOwn(views, section) ? section : "runs";
  const isOther = name !== location.hash;
  name = location.hash;
  view?.close();
  document.title = "Stepcast";
  view = views[known](page, id && decodeURIComponent(id));
  main.replaceChildren(view.element);
  if (isOther && document.activeElement !== document.body) main.focus({ preventScroll: true });
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  refresh();
}

async function refresh() {
  clearTimeout(later);
  const asked = view;
  try {
    if (!document.hidden) await asked.refresh();
    if (asked === view) complain();
  } catch (error) {
    if (asked !== view) return;
    if (error instanceof Refusal && error.status === 401) return askForKey(key.get() ? "The server does not know this key." : "");
    complain(error.message);
  }
  leave.hidden = !key.get();
  if (asked === view) later = setTimeout(refresh, AGAIN_MS);
}

/** What stands in the way at the moment; nothing when nothing does. */
function complain(text = "") {
  say(trouble, text);
  trouble.hidden = !text;
}

/** Only who has the signing key sees more. */
function askForKey(why) {
  view.close();
  key.forget();
  leave.hidden = true;
  complain();
  const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: false, required: true, "aria-describedby": "why" });
  const hint = h("p", { id: "why", className: why ? "error" : "" }, why || "It stays in this tab, and goes to this server only.");
  const submit = (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(text)) return askForKey("That is no key: it has other characters than keys have.");
    key.set(text);
    open();
  };
  const form = h("form", { className: "key", onsubmit: submit }, h("h1", {}, "This server wants its key"), h("label", { htmlFor: "key" }, "The server's signing key"), input, hint, h("button", {}, "Open"));
  view = { element: form, refresh: async () => {}, tick() {}, close() {} };
  main.replaceChildren(form);
  input.focus();
}

async function look() {
  let state, sentence;
  try {
    const { data } = await ask("ready");
    [state, sentence] = ["ready", `Stepcast ${data.version}, ${data.kind === "dev" ? "for development" : "in production"}`];
  } catch (error) {
    [state, sentence] = [error.status ? "not ready" : "unreachable", error.message];
  }
  server.dataset.state = state;
  server.title = sentence;
  say(server, state);
}

leave.addEventListener("click", () => {
  key.forget();
  leave.hidden = true;
  open();
});
addEventListener("hashchange", open);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || view?.tick(), 1_000);
setInterval(() => document.hidden || look(), READY_EVERY_MS);
open();
look();
