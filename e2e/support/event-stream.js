// Server-sent events, read from a response as the WHATWG format says.

import { createInterface } from "node:readline";

/** The events of a response, each with its `event`, `id` and `data`. Closing the response ends them. */
export async function* events(response) {
  let fields = {};
  for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
    if (line === "") {
      if (fields.data !== undefined) yield { event: "message", ...fields };
      fields = {};
    } else if (!line.startsWith(":")) {
      fields = withLine(fields, line);
    }
  }
}

function withLine(fields, line) {
  const [, name, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line);
  const joined = name === "data" && fields.data !== undefined ? `${fields.data}\n${value ?? ""}` : (value ?? "");
  return { ...fields, [name]: joined };
}
