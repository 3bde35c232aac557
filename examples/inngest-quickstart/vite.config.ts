import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

// Your own server would say it in its environment. `1` is the Stepcast server on http://localhost:8288; an address is that of another one.
process.env["INNGEST_DEV"] ??= "1";

/** Answers `/api/…` in the same process, with the functions as they were saved last. */
function api(): Plugin {
  return {
    name: "api",
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        if (!request.url?.startsWith("/api/")) return next();
        try {
          const { handle } = await server.ssrLoadModule("/src/server/api.ts");
          await handle(request, response);
        } catch (error) {
          next(error);
        }
      });
    },
  };
}

export default defineConfig({
  plugins: [react(), api()],
  server: { host: "127.0.0.1", port: 3000, strictPort: true },
});
