// A page made of one module, bundled with the built package `stepcast` as an application would be.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("../../packages/stepcast/", import.meta.url));

/** The HTML of a page that runs this module, with React as it is in `development` or in `production`. */
export async function bundledPage(module, mode = "development") {
  if (!existsSync(path.join(PACKAGE, "dist/react.js"))) {
    throw new Error(`no build of the package in ${PACKAGE}; build it with: cargo xtask verify npm`);
  }
  const { build } = createRequire(path.join(PACKAGE, "package.json"))("esbuild");
  const file = fileURLToPath(module);
  const bundle = await build({
    stdin: { contents: `import ${JSON.stringify(file)}`, resolveDir: PACKAGE },
    alias: {
      "stepcast/react": path.join(PACKAGE, "dist/react.js"),
      "stepcast/shared": path.join(PACKAGE, "dist/shared.js"),
      "stepcast/long-poll": path.join(PACKAGE, "dist/long-poll.js"),
      stepcast: path.join(PACKAGE, "dist/index.js"),
      // One React for the page and the package, which hooks need.
      react: path.join(PACKAGE, "node_modules/react"),
      "react-dom": path.join(PACKAGE, "node_modules/react-dom"),
    },
    bundle: true,
    write: false,
    format: "esm",
    logLevel: "error",
    define: { "process.env.NODE_ENV": JSON.stringify(mode) },
    minify: mode === "production",
  });
  const script = bundle.outputFiles[0].text.replaceAll("</script", "<\\/script");
  return `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><div id="root"></div><script type="module">${script}</script>`;
}
