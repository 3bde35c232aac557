// The channels of the server, as the page reads them: `server/greeting.rs`, `answer.rs` and `import.rs` declare the same in Rust.

import { realtime, staticSchema } from "stepcast";

export const greetingChannel = realtime.channel({
  name: ({ job }: { job: string }) => `greeting:${job}`,
  topics: {
    status: { schema: staticSchema<{ message: string; step?: string }>() },
    tokens: { schema: staticSchema<{ token: string }>(), text: "token" },
  },
});

export const answerChannel = realtime.channel({
  name: ({ job }: { job: string }) => `answer:${job}`,
  topics: {
    tokens: { schema: staticSchema<{ token: string }>(), text: "token" },
    usage: { schema: staticSchema<{ words: number }>() },
  },
});

export const importChannel = realtime.channel({
  name: ({ job }: { job: string }) => `import:${job}`,
  topics: {
    progress: { schema: staticSchema<{ rows: number; total: number }>() },
    refused: { schema: staticSchema<{ line: number; reason: string }>() },
    summary: { schema: staticSchema<{ orders: number; refused: number; cents: number }>() },
  },
});
