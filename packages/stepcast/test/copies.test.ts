import { expect, test, vi } from "vitest";

test("two copies of the package on a page share its connections", async () => {
  const one = await import("../src/subscription/registry.js");
  const pool = one.poolOf();
  vi.resetModules();
  const other = await import("../src/subscription/registry.js");
  expect(other.poolOf).not.toBe(one.poolOf);
  expect(other.poolOf()).toBe(pool);
});

test("a copy of another version keeps to itself", async () => {
  const shared = Symbol.for("stepcast");
  const scope = globalThis as { [shared]?: unknown };
  const before = scope[shared];
  scope[shared] = { version: 0 };
  vi.resetModules();
  const { poolOf, registry } = await import("../src/subscription/registry.js");
  expect(registry().version).not.toBe(0);
  expect(poolOf()).toBe(poolOf());
  scope[shared] = before;
});
