// Runs first in every context, before the codec. Returns the one function that the worker calls.
// It keeps its own hold of every built-in that it needs, because a codec may replace them.
(function () {
  "use strict";
  const { parse, stringify } = JSON;
  const { isFinite } = Number;
  const RealDate = Date;
  const text = String;
  const indirect = eval;
  const valid = Function.prototype.call.bind(Date.prototype.getTime);
  const includes = Function.prototype.call.bind(String.prototype.includes);
  const quiet = function () {};
  globalThis.console = { log: quiet, info: quiet, warn: quiet, error: quiet, debug: quiet };

  // The same message gives the same result: chance begins anew with each of them.
  let chance = 1;
  Math.random = function random() {
    chance = (Math.imul(chance, 1664525) + 1013904223) >>> 0;
    return chance / 4294967296;
  };

  const forms = {
    decodeUplink: (codec, input) => codec(input),
    Decode: (codec, input) => ({ data: codec(input.fPort, input.bytes, input.variables) }),
    Decoder: (codec, input) => ({ data: codec(input.bytes, input.fPort) }),
    rawDataToProtocol: (codec, input) => ({ data: codec(signed(input.bytes)) }),
  };
  const names = ["decodeUplink", "Decode", "Decoder", "rawDataToProtocol"];
  let codec;
  let form;

  function signed(bytes) {
    for (let at = 0; at < bytes.length; at++) bytes[at] = (bytes[at] << 24) >> 24;
    return bytes;
  }

  function named(name, scope) {
    if (scope && typeof scope[name] === "function") return scope[name];
    if (typeof globalThis[name] === "function") return globalThis[name];
    try {
      return indirect("typeof " + name + ' === "function" ? ' + name + " : undefined");
    } catch {
      return undefined; // declared, but the script ended before its value was set
    }
  }

  function find(scope) {
    for (const name of names) {
      codec = named(name, scope);
      if (codec !== undefined) {
        form = forms[name];
        return name;
      }
    }
    return undefined;
  }

  // What JSON has no word for: {"\0": "NaN"}, {"\0": "-Infinity"}, {"\0": "12345678901234567890"}
  function beyond(_key, value) {
    const strange = typeof value === "bigint" || (typeof value === "number" && !isFinite(value));
    return strange ? { "\0": text(value) } : value;
  }

  function written(output) {
    try {
      const found = stringify(output);
      if (found === undefined) return "null";
      if (!includes(found, "null")) return found;
    } catch {
      // a BigInt perhaps, which the second attempt can write
    }
    try {
      return stringify(output, beyond);
    } catch (error) {
      return "!" + text(error);
    }
  }

  return function (task, argument) {
    if (task === "find") return find(argument);
    chance = 1;
    const input = parse(argument);
    if (input.recvTime !== undefined) {
      const moment = new RealDate(input.recvTime);
      if (valid(moment) === valid(moment)) input.recvTime = moment;
      else delete input.recvTime;
    }
    return written(form(codec, input));
  };
})();
