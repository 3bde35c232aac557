import { defineConfig } from "vitest/config";

const usual = { pool: "threads", isolate: true };

export default defineConfig({
  test: {
    projects: [
      { test: { ...usual, name: "all", include: ["test/**/*.test.{ts,tsx}"] } },
      {
        // The oldest React that the package works with.
        resolve: { alias: [{ find: /^(react|react-dom)(?=$|\/)/, replacement: "$1-18" }] },
        test: { ...usual, name: "react-18", include: ["test/**/*.test.tsx"], setupFiles: ["test/support/react-18.ts"] },
      },
    ],
  },
});
