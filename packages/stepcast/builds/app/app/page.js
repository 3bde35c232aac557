import { getClientSubscriptionToken } from "stepcast/react";

import { Chat } from "../components/chat.js";

export default function Page() {
  // A server component may import it, which asks for no React.
  if (typeof getClientSubscriptionToken !== "function") throw new Error("server components cannot mint tokens");
  return <Chat router="app router" />;
}
