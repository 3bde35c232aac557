// A WebSocket client that shows what others hide: the answer to the upgrade, pings, and how a connection is closed.

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";

import { within } from "./deadline.js";
import { queue } from "./queue.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const OPS = { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

/**
 * Opens a connection. `head` is the answer to the upgrade; frames arrive in `messages` and `pings`, pings are answered; `close` begins the
 * closing and gives the server's close frame once the server has ended the connection.
 */
export async function openWebSocket(url, headers = {}) {
  const key = randomBytes(16).toString("base64");
  const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": key, ...headers };
  const request = http.request(url, { headers: upgrade, agent: false });
  const answer = new Promise((resolve, reject) => {
    request.once("upgrade", (response, socket, head) => resolve({ response, socket, head }));
    request.once("response", (response) => reject(new Error(`the upgrade was answered ${response.statusCode}`)));
    request.once("error", reject);
  });
  request.end();
  const { response, socket, head } = await within(answer, () => "the answer to an upgrade");
  const accept = createHash("sha1").update(key + GUID).digest("base64");
  if (response.headers["sec-websocket-accept"] !== accept) throw new Error("the upgrade was answered for another key");
  return connection(response, socket, head);
}

function connection(response, socket, head) {
  const [messages, pings] = [queue("a message on a WebSocket"), queue("a ping")];
  const pongs = queue("a pong");
  const ended = new Promise((resolve) => socket.once("close", resolve));
  let closing;
  const send = (op, payload) => socket.write(masked(op, payload));
  const on = {
    text: (payload) => messages.put(payload.toString()),
    ping: (payload) => {
      send(10, payload);
      pings.put(payload.toString());
    },
    pong: (payload) => pongs.put(payload.toString()),
    close: (payload) => (closing = { code: payload.length ? payload.readUInt16BE() : null, reason: payload.subarray(2).toString() }),
  };
  const frames = reader(({ op, payload }) => {
    if (!on[op]) throw new Error(`a frame of kind ${op}, which nothing here sends`);
    on[op](payload);
  });
  socket.on("error", () => {}).on("data", frames);
  frames(head);
  return {
    head: { status: response.statusCode, headers: response.headers },
    messages,
    pings,
    send: (text) => send(1, Buffer.from(text)),
    /** Until everything that was sent before has been read by the server. */
    async flushed() {
      send(9, Buffer.from("flushed"));
      await pongs.take();
    },
    async close({ code, reason }) {
      send(8, code === null ? Buffer.alloc(0) : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));
      await within(ended, () => "the end of a closed connection");
      return closing;
    },
    destroy: () => socket.destroy(),
  };
}

/** Frames of a client are masked; none here is a fragment. */
function masked(op, payload) {
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 4 : 2);
  head[0] = 0x80 | op;
  head[1] = 0x80 | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ mask[index % 4])]);
}

/** Takes bytes as they come and gives whole frames of a server, which are neither masked nor compressed. */
function reader(onFrame) {
  let bytes = Buffer.alloc(0);
  return (more) => {
    bytes = Buffer.concat([bytes, more]);
    for (;;) {
      const frame = first(bytes);
      if (!frame) return;
      bytes = bytes.subarray(frame.end);
      onFrame(frame);
    }
  };
}

function first(bytes) {
  if (bytes.length < 2) return undefined;
  if (bytes[0] >> 4 !== 8 || bytes[1] >> 7) throw new Error(`a frame with the head ${bytes.subarray(0, 2).toString("hex")}`);
  const short = bytes[1] & 127;
  const start = { 126: 4, 127: 10 }[short] ?? 2;
  if (bytes.length < start) return undefined;
  const length = start === 2 ? short : start === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const end = start + length;
  return bytes.length < end ? undefined : { op: OPS[bytes[0] & 15], payload: bytes.subarray(start, end), end };
}
