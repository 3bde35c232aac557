// The wire between a page and a server, which can be cut.

import { once } from "node:events";
import net from "node:net";

/** A way to the server on this port. `cut()` breaks every connection and lets none in, until `mend()`. */
export async function startWire(port) {
  const sockets = new Set();
  let isCut = false;
  const wire = net.createServer((socket) => {
    const far = isCut ? undefined : net.connect(port, "127.0.0.1");
    if (!far) return socket.destroy();
    for (const [end, other] of [[socket, far], [far, socket]]) {
      sockets.add(end);
      end.on("error", () => {}).once("close", () => {
        sockets.delete(end);
        other.destroy();
      });
      end.pipe(other);
    }
  });
  wire.listen(0, "127.0.0.1");
  await once(wire, "listening");
  const breakAll = () => sockets.forEach((socket) => socket.destroy());
  return {
    port: wire.address().port,
    cut: () => {
      isCut = true;
      breakAll();
    },
    mend: () => (isCut = false),
    stop: async () => {
      const closed = once(wire, "close");
      wire.close();
      breakAll();
      await closed;
    },
  };
}
