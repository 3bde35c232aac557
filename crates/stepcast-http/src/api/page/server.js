// The server that this page comes from, and the key that it wants to see.

const KEY = "stepcast.signing-key";
const PATIENCE_MS = 10_000;

/** What the server does not do, in its own words. */
export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** The key lives as long as this tab. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

let ahead = 0;

/** The time as the server has it, in milliseconds. */
export function now() {
  return Date.now() + ahead;
}

/** Asks one of the server's routes; gives what it answers. */
export async function ask(path, { method = "GET", body } = {}) {
  const headers = { accept: "application/json" };
  if (key.get()) headers.authorization = `Bearer ${key.get()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const options = { method, headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) };
  let response, text;
  try {
    response = await fetch(address(path), { ...options, body: body && JSON.stringify(body) });
    text = await response.text();
  } catch {
    throw new Refusal(0, "the server does not answer; is it running?");
  }
  const answer = parse(text);
  if (!response.ok) throw new Refusal(response.status, answer?.error ?? `the server has answered ${response.status}`);
  const fetchedAt = Date.parse(answer?.metadata?.fetched_at);
  if (fetchedAt) ahead = fetchedAt - Date.now();
  return answer?.metadata ? answer.data : answer;
}

export const cancel = (run) => ask(`v1/runs/${run}`, { method: "DELETE" });

/** Runs a run again; gives the new one's id. */
export const rerun = async (run) => (await ask(`v1/runs/${run}/rerun`, { method: "POST" })).run_id;

/** Tells where a run and its steps are, now and on every change, until it is closed: `onNews(topic, news)`. */
export function follow(run, onNews) {
  let source, later;
  let isOpen = true;
  const take = ({ data }) => {
    const frame = parse(data);
    // A snapshot has what there is as a list of such messages.
    const messages = frame.kind === "snapshot" ? frame.data : [frame];
    for (const message of messages ?? []) onNews(frame.topic, message.data);
  };
  const again = () => {
    source?.close();
    if (isOpen) later = setTimeout(open, 2_000);
  };
  async function open() {
    try {
      const body = { channel: run, topics: ["$run", "$step"], lifetime: 3_600 };
      const { jwt } = await ask("v1/realtime/token", { method: "POST", body });
      if (!isOpen) return;
      source = new EventSource(address(`v1/realtime/sse?token=${jwt}&from=start`));
      source.onmessage = take;
      source.addEventListener("snapshot", take);
      source.onerror = () => source.readyState === EventSource.CLOSED && again();
    } catch {
      again();
    }
  }
  open();
  return () => {
    isOpen = false;
    clearTimeout(later);
    source?.close();
  };
}

function address(path) {
  return new URL(path, document.baseURI);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
