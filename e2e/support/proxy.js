// A proxy between a server and an app that does to calls what networks do. The app sees the proxy's address as its own.

import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { close, listen } from "./app.js";

/** A proxy in front of an app. Each fault in `faults` spoils one call; `calls` keeps what went through. */
export async function startProxy(app) {
  const [faults, calls] = [[], []];
  const target = new URL(app.url);
  const server = http.createServer(async (request, response) => {
    const body = await bytesOf(request);
    const call = { request, body, response, forward: () => forward(target, request, body), cut: () => request.socket.destroy() };
    const isCall = request.method === "POST";
    const fault = (isCall && faults.shift()) || pass;
    if (isCall) calls.push({ path: request.url, headers: request.headers, body: body.toString(), fault: fault.label ?? "none" });
    await fault(call).catch(call.cut);
  });
  await listen(server, 0);
  const url = new URL(app.url);
  url.port = server.address().port;
  return { url: url.href, faults, calls, stop: () => close(server) };
}

/** What can happen to a call, by its name. */
export const FAULTS = {
  "a late answer": async (call) => {
    await sleep(300);
    await pass(call);
  },
  "a connection cut before the app hears of the call": async ({ cut }) => cut(),
  "a connection cut after the app has done its work": async ({ forward, cut }) => {
    await forward();
    cut();
  },
  "an answer cut in the middle": async ({ forward, response, cut }) => {
    const answer = await forward();
    response.writeHead(answer.status, { ...answer.headers, "content-length": answer.body.length });
    response.write(answer.body.subarray(0, answer.body.length >> 1), cut);
  },
  "a call that arrives twice": async ({ forward, response }) => {
    const [answer] = await Promise.all([forward(), forward()]);
    relay(answer, response);
  },
  "an answer with other bytes": async ({ forward, response }) => {
    const answer = await forward();
    relay({ ...answer, body: answer.body.map((byte, index) => (index % 3 ? byte : byte ^ 0x20)) }, response);
  },
  "an empty answer": async ({ forward, response }) => relay({ ...(await forward()), body: Buffer.alloc(0) }, response),
  "HTML from another server": async ({ response }) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Welcome</title>");
  },
  "HTML under the SDK's headers": async ({ forward, response }) => {
    relay({ ...(await forward()), body: Buffer.from("<!doctype html><title>Oops</title>") }, response);
  },
  "a redirect": async ({ response }) => response.writeHead(302, { location: "/login" }).end(),
  "a gateway that has no app": async ({ response }) => response.writeHead(502).end("bad gateway"),
  "an opcode of the future": async ({ forward, response }) => {
    const answer = await forward();
    const ops = JSON.stringify([{ id: "0".repeat(40), op: "Teleport", name: "x", opts: {}, data: null }]);
    relay({ ...answer, status: 206, body: Buffer.from(ops) }, response);
  },
};
for (const [label, fault] of Object.entries(FAULTS)) fault.label = label;

async function pass({ forward, response }) {
  relay(await forward(), response);
}

function relay({ status, headers, body }, response) {
  response.writeHead(status, { ...headers, "content-length": body.length }).end(body);
}

/** The app's answer, whole. */
async function forward(target, { method, url, headers }, body) {
  const options = { host: target.hostname, port: target.port, path: url, method, headers, agent: false };
  const answer = await new Promise((resolve, reject) => {
    http.request(options, resolve).once("error", reject).end(body);
  });
  const { "transfer-encoding": _, connection: __, ...kept } = answer.headers;
  return { status: answer.statusCode, headers: kept, body: await bytesOf(answer) };
}

async function bytesOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
