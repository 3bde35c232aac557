export default { test: { include: ["component.vitest.js"], environment: "happy-dom" } };
