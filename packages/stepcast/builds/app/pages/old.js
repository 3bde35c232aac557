import { Chat } from "../components/chat.js";

export default function Page() {
  return <Chat router="pages router" />;
}
