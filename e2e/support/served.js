// A server and an app whose functions it executes, in one process each or, for the app, in the test's own.

import { Inngest } from "inngest";

import { startApp } from "./app.js";
import { eventually } from "./deadline.js";
import { runsAt } from "./runs.js";
import { startDev } from "./stepcast.js";

/**
 * A server that has taken in an app: `stepcast`, `app`, its client `inngest`, `runs`, `completed(name, data)`, and `stop()`.
 *
 * `functions` makes the functions with a client; `behind` puts something between the server and the app.
 */
export async function startServed({ id = "e2e", functions, client = {}, serving = {}, start = startDev, options, isDurable, behind }) {
  const app = await startApp();
  const between = await behind?.(app);
  let stepcast;
  try {
    stepcast = await start({ apps: [(between ?? app).url], options, isDurable });
    const inngest = new Inngest({ id, isDev: true, baseUrl: stepcast.url, logger: SILENT, ...client });
    app.serve({ client: inngest, functions: functions(inngest), ...serving });
    const served = {
      stepcast,
      app,
      between,
      inngest,
      get runs() {
        return runsAt(served.stepcast.url);
      },
      stop: () => stopAll(served),
    };
    await functionsOf(stepcast.url, id);
    return served;
  } catch (error) {
    await stopAll({ stepcast, app, between });
    const said = stepcast?.log().slice(-4000);
    throw new Error(`${error.message}; the server said: ${said}`, { cause: error });
  }
}

/** Sends an event and gives the runs that it started when all have ended. */
export async function runsOf({ inngest, runs }, event, count = 1, patience) {
  const { ids } = await inngest.send(event);
  return runs.ended(ids[0], count, patience);
}

/** Sends an event and gives the output of the one run that it started and that has completed. */
export async function outputOf(served, event) {
  const [run] = await runsOf(served, event);
  if (run.status !== "Completed") throw new Error(`the run is ${run.status}: ${JSON.stringify(run)}`);
  return run.output;
}

/** The functions of an app that is known to the server, as soon as it is and `is` holds for them. */
export function functionsOf(url, id, is = () => true, bearer, patience) {
  const look = async () => {
    const { functions } = await runsAt(url, bearer).read(`v1/apps/${id}/functions`);
    return is(functions) && functions;
  };
  return eventually(look, () => `the functions of app ${id}`, patience);
}

/** Errors of functions are the subject of many tests and not news. */
export const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

async function stopAll({ stepcast, app, between }) {
  try {
    await stepcast?.stop();
  } finally {
    await between?.stop();
    await app.stop();
  }
}
