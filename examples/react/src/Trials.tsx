import { useEffect, useState } from "react";

import { processId } from "./api";

/** What somebody who doubts may do to a run that is under way. */
export function Trials() {
  const [guests, setGuests] = useState<number[]>([]);
  const [pid, setPid] = useState<number>();
  useEffect(() => {
    processId().then(setPid, () => {});
  }, []);
  return (
    <aside aria-label="Trials">
      <h2>In the middle of it</h2>
      <ul>
        <li>
          <button onClick={() => location.reload()}>Reload</button> This page begins anew and shows all of it.
        </li>
        <li>
          <button id="join" onClick={() => setGuests((guests) => [...guests, Date.now()])}>Join late</button> A second page comes, and sees
          what it has missed.
        </li>
        <li>
          <code>kill -9 {pid ?? "…"}</code> Then start the server again: the run goes on, and the page comes back.
        </li>
      </ul>
      {guests.map((at) => (
        <figure key={at}>
          <figcaption>Joined at {new Date(at).toLocaleTimeString()}</figcaption>
          <iframe title={`A page that joined at ${new Date(at).toLocaleTimeString()}`} src={`?guest${location.hash}`} />
        </figure>
      ))}
    </aside>
  );
}
