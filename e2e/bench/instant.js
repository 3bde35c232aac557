// A server that answers like one without storage: every event calls the app at once, every publish goes to whoever reads, nothing is kept.
// What is slower than this is what a server adds; the rest is the app's own time.

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";

const AGENT = new http.Agent({ keepAlive: true, noDelay: true });
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const readers = new Map();
let functions = [];

const server = http.createServer(async (request, response) => {
  const body = await bytesOf(request);
  const { pathname, searchParams } = new URL(request.url, "http://instant");
  const json = (value, status = 200) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  if (pathname === "/register") {
    functions = (await put(JSON.parse(body).url)).functions;
    return json({ functions: functions.length });
  }
  if (pathname.startsWith("/e/")) {
    const events = JSON.parse(body);
    const ids = events.map(() => ulid());
    json({ ids, status: 200 });
    return events.forEach((event, index) => start({ user: {}, id: ids[index], ...event }));
  }
  if (pathname === "/v1/realtime/token") return json({ jwt: Buffer.from(body).toString("base64url") }, 201);
  if (pathname === "/v1/realtime/publish") {
    deliver(searchParams.get("channel"), searchParams.get("topic"), searchParams.get("run_id"), body.toString());
    return response.end();
  }
  response.end();
});

server.on("upgrade", (request, socket) => {
  const topics = JSON.parse(Buffer.from(new URL(request.url, "http://instant").searchParams.get("token"), "base64url"));
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  for (const { channel, name } of topics) {
    const key = `${channel}\n${name}`;
    if (!readers.has(key)) readers.set(key, new Set());
    readers.get(key).add(socket);
    socket.once("close", () => readers.get(key).delete(socket));
  }
  socket.setNoDelay(true).on("error", () => {}).resume();
  socket.on("end", () => socket.end());
  const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
});

server.listen(0, "127.0.0.1", () => process.send(server.address().port));
process.once("disconnect", () => process.exit());

function start(event) {
  const isStarted = ({ triggers }) => triggers.some((trigger) => trigger.event === event.name);
  for (const { id, steps } of functions.filter(isStarted)) {
    call(id, steps.step.runtime.url, event).catch((error) => console.error(error));
  }
}

async function call(id, url, event) {
  const [run, request] = [ulid(), ulid()];
  const ctx = {
    attempt: 0, disable_immediate_execution: false, env: "", fn_id: "00000000-0000-4000-8000-000000000000", generation_id: 1, job_id: run,
    max_attempts: 4, qi_id: request, request_id: request, run_id: run, stack: { current: 0, stack: [] }, step_id: "step", use_api: false,
  };
  const body = JSON.stringify({ ctx, event, events: [event], steps: {}, use_api: false, version: -1 });
  const { status } = await send("POST", url, body);
  if (status !== 206) throw new Error(`${id} was answered ${status}`);
}

async function put(url) {
  const { body } = await send("PUT", url, JSON.stringify({ url }), { "x-inngest-sync-kind": "in_band", "x-inngest-server-kind": "dev" });
  return JSON.parse(body);
}

function send(method, url, body, more = {}) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...more };
    const request = http.request(url, { method, headers, agent: AGENT }, async (response) => {
      resolve({ status: response.statusCode, body: await bytesOf(response) });
    });
    request.once("error", reject).end(body);
  });
}

function deliver(channel, topic, run, text) {
  const head = { kind: "data", channel, topic, run_id: run, created_at: new Date().toISOString() };
  const frame = textFrame(`${JSON.stringify(head).slice(0, -1)},"data":${text}}`);
  for (const socket of readers.get(`${channel}\n${topic}`) ?? []) socket.write(frame);
}

function textFrame(text) {
  const payload = Buffer.from(text);
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
  const head = Buffer.from([0x81, ...length]);
  return Buffer.concat([head, payload]);
}

function ulid() {
  const time = Date.now();
  const head = Array.from({ length: 10 }, (_, place) => ALPHABET[Math.floor(time / 32 ** (9 - place)) % 32]);
  return head.join("") + Array.from(randomBytes(16), (byte) => ALPHABET[byte % 32]).join("");
}

async function bytesOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
