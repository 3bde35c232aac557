import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` shows the page while you write it; what it asks for goes to `cargo run --example react`.
const server = "http://127.0.0.1:8288";

export default defineConfig({
  plugins: [react()],
  server: { host: "127.0.0.1", proxy: { "/api": server, "/v1": { target: server, ws: true } } },
});
