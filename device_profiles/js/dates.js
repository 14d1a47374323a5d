// The name of the time zone, which a desktop engine writes after a date.
(function () {
  "use strict";
  for (const name of ["toString", "toTimeString"]) {
    const plain = Date.prototype[name];
    const method = {
      [name]() {
        const found = plain.call(this);
        return found === "Invalid Date" ? found : found + " (Coordinated Universal Time)";
      },
    };
    const entry = { value: method[name], writable: true, configurable: true };
    Object.defineProperty(Date.prototype, name, entry);
  }
})();
