// Plain HTTP. `fetch` sets `Host` and `Origin` itself; `send` leaves them to the test.

import http from "node:http";
import { json, text } from "node:stream/consumers";

/** Posts JSON and expects JSON with a status of success. */
export async function postJson(url, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`POST ${url} was answered ${response.status}: ${answer}`);
  return JSON.parse(answer);
}

/** Sends exactly these headers; answers with the status and the body read as JSON. */
export async function send(url, { method = "GET", headers = {}, body } = {}) {
  const response = await open(url, { method, headers, body });
  const isJson = response.headers["content-type"]?.startsWith("application/json");
  return { status: response.statusCode, body: await (isJson ? json(response) : text(response)) };
}

/** Opens a request and answers with the response as soon as its head is there. */
export function open(url, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, resolve);
    request.once("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
