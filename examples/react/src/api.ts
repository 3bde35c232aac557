// What the page asks of its server.

/** Begins something; gives the id of its run. */
export async function begin(kind: string, wish: Record<string, unknown>): Promise<string> {
  const { run } = await answerOf<{ run: string }>(`/api/${kind}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(wish),
  });
  return run;
}

/** A token for a channel: `answer:<job>`, or a run's own, whose name is the run's id. */
export async function tokenFor(channel: string): Promise<string> {
  const [kind, job] = channel.includes(":") ? channel.split(":") : ["run", channel];
  const response = await fetch(`/api/token/${kind}/${job}`);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.text();
}

/** The number of the server's process. */
export async function processId(): Promise<number> {
  const { pid } = await answerOf<{ pid: number }>("/api/process");
  return pid;
}

async function answerOf<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(path, init);
  const body = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw new Error(body.error);
  return body;
}
