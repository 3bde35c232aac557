// A page with React, bundled from `pages/`, and the server of the team that wrote it: it gives the page and its tokens.

import http from "node:http";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { getClientSubscriptionToken } from "inngest/react";

import { close, listen } from "./app.js";
import { pipelineChannel } from "./pipeline.js";

const HTML = '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>';

/** Serves a page, with tokens from the client that `inngest` gives. `address(parameters)` is where the page shows what is asked for. */
export async function servePage(name, inngest) {
  const script = await bundled(name);
  const server = http.createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://page");
    const answer = (type, body) => response.writeHead(200, { "content-type": type }).end(body);
    if (pathname === "/") return answer("text/html", HTML);
    if (pathname === "/page.js") return answer("text/javascript", script);
    const channel = pipelineChannel({ runId: searchParams.get("runId") });
    const topics = searchParams.get("topics").split(",");
    const token = await getClientSubscriptionToken(inngest(), { channel, topics });
    return searchParams.has("apiBaseUrl") ? answer("text/plain", token.key) : answer("application/json", JSON.stringify(token));
  });
  await listen(server, 0);
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { address: (parameters) => `${origin}/?${new URLSearchParams(parameters)}`, stop: () => close(server) };
}

async function bundled(name) {
  const entry = fileURLToPath(new URL(`../pages/${name}`, import.meta.url));
  const options = { bundle: true, write: false, format: "esm", platform: "browser", jsx: "automatic", logLevel: "error" };
  const { outputFiles } = await build({ entryPoints: [entry], ...options });
  return outputFiles[0].contents;
}
