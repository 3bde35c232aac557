// An application of npm inngest as its team runs it: a page, the routes behind it, and `stepcast dev` beside them.

import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";

import { close, listen } from "./app.js";
import { functionsOf } from "./served.js";
import { startDev } from "./stepcast.js";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/**
 * Serves a project's page and, under `/api/`, what `handle` of its module `api` answers; its functions run on a server of their own, which
 * keeps a file. `id` is that of the app.
 */
export async function startSite(project, { id, api = "src/server/api.ts", options }) {
  let handle;
  const folder = await project.page();
  const server = http.createServer((request, response) => {
    const answered = request.url.startsWith("/api/") ? handle(request, response) : file(folder, request, response);
    answered.catch((error) => response.destroy(error));
  });
  await listen(server, 0);
  const url = `http://127.0.0.1:${server.address().port}/`;
  const site = { url, stepcast: undefined, stop };
  async function stop() {
    await site.stepcast?.stop();
    await close(server);
    project.stop();
  }
  try {
    // The app has to know the server's address before its first module is read, and is asked for its functions when it has been.
    site.stepcast = await startDev({ options, isDurable: true });
    process.env.INNGEST_DEV = site.stepcast.url;
    ({ handle } = await project.module(api));
    await fetch(new URL("api/inngest", url), { method: "PUT" });
    await functionsOf(site.stepcast.url, id);
    return site;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function file(folder, request, response) {
  const { pathname } = new URL(request.url, "http://site");
  const name = path.join(folder, pathname.endsWith("/") ? "index.html" : pathname);
  try {
    const body = await readFile(name);
    response.writeHead(200, { "content-type": TYPES[path.extname(name)] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404).end();
  }
}
