import { address } from "./address.js";
import type { OpenStream, Socket } from "./platform.js";

/**
 * Server-sent events of one channel in the shape of a WebSocket, where WebSockets do not get through. It says nothing to the server, and
 * its frames are the same ones, without a `hello`. A comment of the server is an empty message: a sign that it is there.
 */
export const openEventStream: OpenStream = (platform, reader, onOpen) => {
  const end = new AbortController();
  const socket: Socket = {
    send() {},
    close: () => end.abort(),
  };

  async function read(): Promise<void> {
    const { ok, body } = await platform.fetch(address(reader, "sse?"), { signal: end.signal, cache: "no-store" });
    if (!ok || !body || end.signal.aborted) return;
    onOpen();
    const chunks = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let data = "";
    for (;;) {
      const { done, value } = await chunks.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop()!;
      for (const line of lines) {
        // JSON that comes in several lines is the same without their ends.
        if (line.startsWith("data:")) data += line.slice(5);
        if (line !== "") continue;
        socket.onmessage?.({ data });
        data = "";
      }
    }
  }

  void read()
    .catch((cause: unknown) => cause)
    .then((cause) => socket.onclose?.({ cause }));
  return socket;
};
