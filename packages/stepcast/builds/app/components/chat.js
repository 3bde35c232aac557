"use client";
import { realtime, staticSchema } from "stepcast";
import { useRealtime } from "stepcast/react";

const chat = realtime.channel({ name: "chat", topics: { said: { schema: staticSchema() } } });

export function Chat({ router }) {
  const { connectionStatus } = useRealtime({ channel: chat, topics: ["said"], token: "e30.e30.sig" });
  return <p>{router}: {connectionStatus}</p>;
}
