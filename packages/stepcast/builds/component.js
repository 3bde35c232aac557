// What both test runners render.
import { createElement } from "react";
import { realtime, staticSchema } from "stepcast";
import { useRealtime } from "stepcast/react";

const chat = realtime.channel({ name: "chat", topics: { said: { schema: staticSchema() } } });

export function Chat() {
  const { connectionStatus } = useRealtime({ channel: chat, topics: ["said"], token: "e30.e30.sig", enabled: false });
  return createElement("p", null, connectionStatus);
}
