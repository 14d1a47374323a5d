// For codecs that can only be a module of Node: `module`, `exports`, and of what `require` knows
// there the one thing that needs no system.
(function () {
  "use strict";
  const Node = globalThis.Buffer;
  const module = { exports: {}, id: "codec", loaded: false, children: [], paths: [] };
  const known = { buffer: { Buffer: Node }, "node:buffer": { Buffer: Node } };
  const entry = (value) => ({ value, writable: true, configurable: true });
  Object.defineProperty(globalThis, "module", entry(module));
  Object.defineProperty(globalThis, "exports", entry(module.exports));
  Object.defineProperty(
    globalThis,
    "require",
    entry(function require(name) {
      if (Object.hasOwn(known, name)) return known[name];
      const error = new Error("Cannot find module '" + name + "'");
      error.code = "MODULE_NOT_FOUND";
      throw error;
    }),
  );
})();
