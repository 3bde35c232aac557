// Events and runs as a server shows them.

import { eventually } from "./deadline.js";

const ENDED = new Set(["Completed", "Failed", "Cancelled"]);

/** The runs of the server at a URL, read with a bearer when it wants one. */
export function runsAt(url, bearer) {
  const headers = bearer ? { authorization: `Bearer ${bearer}` } : {};

  async function read(path, options) {
    const response = await fetch(new URL(path, url), { headers, ...options });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${text}`);
    return text && JSON.parse(text).data;
  }
  const of = (eventId) => read(`v1/events/${eventId}/runs`);
  const one = (runId) => read(`v1/runs/${runId}`);

  return {
    read,
    of,
    one,
    cancel: (runId) => read(`v1/runs/${runId}`, { method: "DELETE", headers }),
    /** The first run of an event, as soon as there is one for which `is` holds. */
    until: (eventId, is, what) => eventually(async () => (await of(eventId)).find(is), () => `${what} of event ${eventId}`),
    /** The runs of an event when there are so many and all have ended, in the order in which they came to be. */
    async ended(eventId, count = 1, patience) {
      let runs = [];
      const haveEnded = async () => {
        runs = await of(eventId);
        return runs.length >= count && runs.every((run) => ENDED.has(run.status)) && runs;
      };
      const what = () => `${count} ended run(s) of event ${eventId}; there are ${JSON.stringify(runs)}`;
      await eventually(haveEnded, what, patience);
      return runs.sort((a, b) => (a.run_id < b.run_id ? -1 : 1));
    },
  };
}
