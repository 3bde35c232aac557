// Plays the side of apps and clients as it was recorded, and compares all that the server says with what the reference server said.

import { eventually } from "../deadline.js";
import { gate } from "../gate.js";
import { queue } from "../queue.js";
import { startDev } from "../stepcast.js";
import { openWebSocket } from "../websocket.js";
import { differences, disorder, leaves } from "./compare.js";
import { answerFor, callFor, isNews, messageFor, ruleFor, terminalMessage } from "./documented.js";
import { begin, bodyOf, exchange, whole } from "./exchange.js";
import { Ids } from "./ids.js";
import { bytesOf, recording, registration } from "./recording.js";
import { startScriptedApp } from "./scripted-app.js";

/** What belongs to a connection and not to what is said on it. */
const OF_CONNECTIONS = new Set([
  ...["host", "connection", "keep-alive", "content-length", "transfer-encoding", "date", "accept", "accept-encoding"],
  ...["upgrade", "sec-websocket-accept"],
]);
/** Apps are called when they have registered, and not polled any more. */
const OPTIONS = ["--retry-interval", "100ms", "--poll-interval", "1h", "--grace", "1s"];
/** Ops after which a step is known of its run. */
const TELLING = new Set(["StepRun", "StepError", "StepFailed", "Sleep", "WaitForEvent", "WaitForSignal", "InvokeFunction"]);

/** Plays a recording against a server of its own: all that differs from it, each with the `rule` that explains it, if there is one. */
export async function replay(name) {
  const server = gate();
  const app = await startScriptedApp(server);
  let stepcast;
  try {
    stepcast = await startDev({ apps: [app.url], options: OPTIONS });
    server.open(stepcast.url);
    const player = new Player(app, stepcast.url);
    await player.register();
    if (name !== "01-registration") await player.play(recording(name));
    return player.found;
  } catch (error) {
    error.message += `; the server said: ${stepcast?.log().slice(-4000)}`;
    throw error;
  } finally {
    await stepcast?.stop();
    await app.stop();
  }
}

class Player {
  /** All that differs: in which `entry`, `what`, at which `path`, and how. */
  found = [];
  #app;
  #url;
  #ids = new Ids();
  /** What the client has said, which a server may repeat but not change. */
  #said = new Set();
  #entry;
  #past = [];
  /** Requests, calls, event streams and sockets by the id that the recording gives to their connection. */
  #requests = new Map();
  #calls = new Map();
  #streams = new Map();
  #sockets = new Map();

  constructor(app, url) {
    this.#app = app;
    this.#url = url;
  }

  /** Waits until the server has asked the app to register, and the app has done it. */
  async register() {
    const { register, registered } = registration();
    this.#entry = registered;
    const sync = await this.#app.syncs.take();
    leaves(register.body).forEach((value) => this.#said.add(value));
    this.#compare("answer", registered, sync.registered);
  }

  async play(entries) {
    for (const entry of entries) {
      this.#entry = entry;
      try {
        await this.#on(entry);
      } catch (error) {
        error.message = `entry ${entry.n}: ${error.message}; what differed before: ${JSON.stringify(this.found.filter(({ rule }) => !rule))}`;
        throw error;
      }
      this.#past.push(entry);
    }
    for (const { url } of this.#app.calls.rest()) this.#report({ what: "call", path: "", ours: url });
  }

  #on(entry) {
    const on = {
      "req server": () => this.#request(entry),
      "req-chunk server": () => this.#requests.get(entry.id).request.write(entry.text),
      "req-end server": () => this.#requests.get(entry.id).request.end(),
      "res server": () => this.#answer(entry),
      "res-chunk server": () => this.#event(entry),
      "client-closed server": () => this.#leaveStream(entry),
      "res-aborted server": () => {},
      "req app": () => this.#call(entry),
      "res app": () => this.#answerCall(entry),
      "ws-upgrade-req server": () => this.#connect(entry),
      "ws-upgrade-res server": () => this.#compare("upgrade", entry, this.#sockets.get(entry.id).head),
      "ws-frame server": () => this.#frames[`${entry.dir} ${entry.op}`](entry, this.#sockets.get(entry.id)),
      "ws-tcp-close server": () => {},
    };
    return on[`${entry.ev} ${entry.label}`]();
  }

  // What clients and apps ask of the server.

  #request(entry) {
    const { method, url, headers, streaming } = entry;
    leaves([entry.body ?? null, headers]).forEach((value) => this.#said.add(value));
    const recorded = { method, headers: this.#withOurIds(headers) };
    const address = this.#address(url);
    if (isForRuns(entry)) return this.#requests.set(entry.id, { entry, again: () => exchange(address, recorded) });
    const { request, head } = begin(address, recorded);
    if (!streaming) request.end(bytesOf(this.#withOurIds(entry)));
    head.catch(() => {});
    this.#requests.set(entry.id, { entry, request, head });
  }

  async #answer(recorded) {
    const { entry, head, again } = this.#requests.get(recorded.id);
    const expected = answerFor(recorded, entry, this.#past);
    if (entry.headers["x-inngest-event-id-seed"]) recorded.body.json.ids.forEach((id) => this.#ids.isOne(id, id));
    if (again) return this.#compare("answer", expected, await this.#untilRunsAre(recorded, again));
    const response = await head;
    if (!recorded.streaming) return this.#compare("answer", expected, await whole(response));
    this.#compare("answer", recorded, { status: response.statusCode, headers: response.headers });
    this.#streams.set(recorded.id, stream(response));
  }

  /** A run is asked after once it is where it was when it was recorded. */
  async #untilRunsAre(recorded, again) {
    const statuses = ({ body }) => body.json?.data?.map(({ status }) => status).join();
    let answer;
    const look = async () => statuses((answer = await again())) === statuses(recorded) && answer;
    return eventually(look, () => `runs that are ${statuses(recorded)}; they are ${JSON.stringify(answer?.body)}`);
  }

  // What the server asks of the app.

  async #call(entry) {
    const call = await this.#app.calls.find(({ url }) => url === entry.url);
    const body = bodyOf(call.body);
    for (const path of disorder(body.json)) this.#report({ what: "call", path, ours: "keys that are not in canonical order" });
    this.#compare("call", callFor(entry, this.#past), { ...call, body });
    this.#calls.set(entry.id, { answer: call.answer, run: call.headers["x-run-id"] });
  }

  /** Answers, and waits until the server has taken in what the answer says of steps. */
  async #answerCall(entry) {
    const { answer, run } = this.#calls.get(entry.id);
    leaves(entry.body).forEach((value) => this.#said.add(value));
    answer(this.#withOurIds(entry));
    const ops = entry.status === 206 ? entry.body.json.filter(({ op }) => TELLING.has(op)) : [];
    if (ops.length) await this.#untilKnown(run, ops);
  }

  async #untilKnown(run, ops) {
    const topics = JSON.stringify([{ channel: run, name: "$step", kind: "run" }]);
    const asked = { method: "POST", headers: { "content-type": "application/json" } };
    const { body } = await exchange(this.#address("/v1/realtime/token"), asked, topics);
    const address = this.#address(`/v1/realtime/messages?from=start&wait=0&token=${body.json.jwt}`);
    let steps;
    const look = async () => {
      steps = JSON.stringify((await exchange(address, { method: "GET" })).body);
      return ops.every(({ id, userland }) => steps.includes(id) || steps.includes(JSON.stringify(userland.id)));
    };
    await eventually(look, () => `steps ${JSON.stringify(ops)} of run ${run}, which has ${steps}`);
  }

  // Server-sent events.

  async #event(recorded) {
    const { events } = this.#streams.get(recorded.id);
    this.#compare("event", eventOf(recorded.text.trimEnd()), eventOf(await events.take(KEEPALIVE_PATIENCE_MS)));
  }

  #leaveStream({ id }) {
    const { response, events } = this.#streams.get(id);
    response.destroy();
    for (const event of events.rest()) this.#report({ what: "event", path: "", ours: event });
  }

  // WebSockets.

  async #connect({ id, url, headers }) {
    const socket = await openWebSocket(this.#address(url), headers);
    this.#sockets.set(id, Object.assign(socket, this.#readBy(url)));
  }

  #frames = {
    "server->client ping": async (_, { pings }) => void (await pings.take(KEEPALIVE_PATIENCE_MS)),
    "client->server pong": () => {},
    "server->client text": async (recorded, { messages }) => {
      const expected = messageFor(recorded.json, this.#past);
      if (expected) this.#compare("message", expected, JSON.parse(await messages.take()));
    },
    "client->server text": async (entry, socket) => {
      const { text, json } = this.#withOurIds(entry);
      socket.send(text ?? JSON.stringify(json));
      await socket.flushed();
    },
    "client->server close": async (entry, socket) => {
      const terminal = terminalMessage(socket, this.#past);
      if (terminal) this.#compare("message", terminal, await this.#afterNews(socket));
      socket.closed = await socket.close(entry);
      for (const message of socket.messages.rest()) this.#report({ what: "message", path: "", ours: message });
    },
    "server->client close": ({ code, reason }, { closed }) => this.#compare("close", { code, reason }, closed),
  };

  /** The channel and the topics of the token in a URL. */
  #readBy(url) {
    const token = new URL(url, this.#url).searchParams.get("token");
    const { id } = this.#past.find(({ ev, body }) => ev === "res" && body?.json?.jwt === token);
    const topics = this.#requests.get(id).entry.body.json;
    return { channel: topics[0].channel, topics: topics.map(({ name }) => name) };
  }

  /** The message that follows those that only tell where a run is. */
  async #afterNews({ messages, channel, topics }) {
    for (;;) {
      const message = JSON.parse(await messages.take());
      // News of a run names it in what it says.
      const isTerminal = message.topic === "$run" && !("run_id" in message.data);
      if (isTerminal || !isNews(message, { channel: this.#ids.ours(channel), topics })) return message;
    }
  }

  // What is compared.

  #compare(what, recorded, ours) {
    const fields = what === "call" ? ["method", "url", "headers", "body"] : ["status", "headers", "body"];
    const isExchange = ["call", "answer", "upgrade"].includes(what);
    // What is answered otherwise differs as a whole.
    if (what === "answer" && recorded.status !== ours.status) return this.#report({ what, path: "", recorded, ours });
    const [theirs, mine] = isExchange ? [recorded, ours].map((each) => exchanged(each, fields)) : [recorded, ours];
    const context = { ids: this.#ids, said: this.#said };
    for (const difference of differences(theirs, mine, context)) this.#report({ what, ...difference });
  }

  #report(difference) {
    const { n, id } = this.#entry;
    this.found.push({ entry: n, ...difference, rule: ruleFor({ ...difference, request: this.#requests.get(id)?.entry }) });
  }

  #address(url) {
    return new URL(this.#ids.ours(url), this.#url);
  }

  #withOurIds(value) {
    if (typeof value === "string") return this.#ids.ours(value);
    if (Array.isArray(value)) return value.map((each) => this.#withOurIds(each));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.#withOurIds(each)]));
  }
}

/** Signs of life on a silent connection are at most 15 s apart. */
const KEEPALIVE_PATIENCE_MS = 17_000;

function isForRuns({ method, url }) {
  return method === "GET" && url.endsWith("/runs");
}

function exchanged(message, fields) {
  const headers = Object.entries(message.headers).filter(([name]) => !OF_CONNECTIONS.has(name));
  const all = { ...message, headers: Object.fromEntries(headers) };
  return Object.fromEntries(fields.map((field) => [field, all[field]]));
}

/** A response's events as they come, each with the empty line behind it taken away. */
function stream(response) {
  const events = queue("a server-sent event");
  let text = "";
  response.setEncoding("utf8").on("error", () => {}).on("data", (more) => {
    const parts = (text + more).split("\n\n");
    text = parts.pop();
    parts.forEach(events.put);
  });
  return { response, events };
}

/** The fields of an event; of a comment, its text. */
function eventOf(text) {
  const fields = text.split("\n").map((line) => /^([^:]*):\s?(.*)$/.exec(line)).map(([, name, value]) => [name || "comment", value]);
  return Object.fromEntries(fields.map(([name, value]) => [name, name === "data" ? JSON.parse(value) : value]));
}
