// One React 18 for the tests, the package and `react-dom`, which asks for `react` by `require`.

import Module from "node:module";

const modules = Module as unknown as { _resolveFilename(name: string, ...rest: unknown[]): string };
const resolve = modules._resolveFilename;
modules._resolveFilename = (name, ...rest) => resolve(name.replace(/^react(?=$|\/)/, "react-18"), ...rest);

for (const { version } of [await import("react"), await import("react-dom")]) {
  if (!version.startsWith("18.")) throw new Error(`these tests are for React 18, not for ${version}`);
}
