// An app that does nothing by itself: it registers as one was recorded to, and its calls wait for answers.

import http from "node:http";
import { text } from "node:stream/consumers";

import { close, listen } from "../app.js";
import { queue } from "../queue.js";
import { exchange } from "./exchange.js";
import { registration } from "./recording.js";

/**
 * A listening app. Calls of functions arrive in `calls`, each with `answer`; `syncs` are requests to register, each with what the server
 * answered to the registration that it made. `server` is to be opened with the server's URL.
 */
export async function startScriptedApp(server) {
  const [calls, syncs] = [queue("a call of a function"), queue("a request to register")];
  let origin;
  const app = http.createServer(async (request, response) => {
    const received = { method: request.method, url: request.url, headers: request.headers, body: await text(request) };
    const answer = ({ status, headers, body }) => response.writeHead(status, headers).end(JSON.stringify(body.json));
    if (request.method === "POST") return calls.put({ ...received, answer });
    const { register, answer: recorded } = registration();
    if (request.method === "PUT") {
      const body = JSON.stringify(register.body.json).replaceAll("http://app", origin);
      const url = new URL(register.url, await server.opened);
      syncs.put({ ...received, registered: await exchange(url, register, body) });
    }
    answer(recorded);
  });
  await listen(app, 0);
  origin = `http://127.0.0.1:${app.address().port}`;
  return { origin, url: `${origin}/api/inngest`, calls, syncs, stop: () => close(app) };
}
