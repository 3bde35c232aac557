// One request with the recorded headers, and its answer as it is recorded.

import http from "node:http";
import { text } from "node:stream/consumers";

/** Sends a recorded request and gives the whole answer: `status`, `headers` and `body`. */
export async function exchange(url, recorded, body) {
  const { request, head } = begin(url, recorded);
  request.end(body);
  return whole(await head);
}

/** Begins a recorded request, whose body is still to come; `head` is the answer as soon as its head is there. */
export function begin(url, { method, headers }) {
  const request = http.request(url, { method, headers, agent: false });
  const head = new Promise((resolve, reject) => request.once("response", resolve).once("error", reject));
  return { request, head };
}

export async function whole(response) {
  return { status: response.statusCode, headers: response.headers, body: bodyOf(await text(response)) };
}

/** A body as recordings have it. */
export function bodyOf(text) {
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { text };
  }
}
