// An app: a Node HTTP server that serves the functions of an npm `inngest` client, and counts its calls.

import { once } from "node:events";
import http from "node:http";

import { serve } from "inngest/node";

import { gate } from "./gate.js";

const PATH = "/api/inngest";

/**
 * A listening app, on a free port if none is given. Requests wait until it `serve`s something, so that a server can be told its `url` before there are functions. It can be
 * taken `down` and `up` again on its port; `calls` lists the requests that execute functions, `syncs` those that ask for them.
 */
export async function startApp({ port: asked = 0, path = PATH } = {}) {
  const [calls, syncs] = [[], []];
  const first = gate();
  let handle;
  const serveFunctions = (options) => {
    handle = serve(options);
    first.open();
  };
  const server = http.createServer(async (request, response) => {
    await first.opened;
    const { pathname, searchParams } = new URL(request.url, "http://app");
    if (pathname !== path) return response.writeHead(404).end();
    if (request.method === "POST") {
      const call = { functionId: searchParams.get("fnId"), stepId: searchParams.get("stepId"), status: null };
      calls.push(call);
      response.once("finish", () => (call.status = response.statusCode));
    } else {
      syncs.push({ method: request.method, kind: request.headers["x-inngest-sync-kind"] });
    }
    await handle(request, response);
  });
  await listen(server, asked);
  const { port } = server.address();
  return {
    url: `http://127.0.0.1:${port}${path}`,
    port,
    calls,
    syncs,
    serve: serveFunctions,
    callsOf: (functionId) => calls.filter((call) => call.functionId === functionId),
    down: () => close(server),
    up: () => listen(server, port),
    stop: () => (server.listening ? close(server) : undefined),
  };
}

export async function listen(server, port) {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}

/** Does not wait for those who are connected. */
export async function close(server) {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
