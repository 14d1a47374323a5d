// Runs first in every context, before the codec. Returns what the worker calls: `find` looks for
// the codec's functions, `caller` gives one of them as text in, text out. It keeps its own hold of
// every built-in that it needs, because a codec may replace them.
(function () {
  "use strict";
  const { parse, stringify } = JSON;
  const { isFinite } = Number;
  const { isView } = ArrayBuffer;
  const { isArray } = Array;
  const { apply, defineProperty } = Reflect;
  const RealPromise = Promise;
  const RealTypeError = TypeError;
  const RealDate = Date;
  const text = String;
  const indirect = eval;
  const valid = Function.prototype.call.bind(Date.prototype.getTime);
  const includes = Function.prototype.call.bind(String.prototype.includes);
  const join = Function.prototype.call.bind(Array.prototype.join);
  const quiet = function () {};
  const words = [
    "log", "info", "warn", "error", "debug", "trace", "dir", "table", "assert", "count", "time",
    "timeEnd", "timeLog", "group", "groupCollapsed", "groupEnd",
  ];
  globalThis.console = {};
  for (let at = 0; at < words.length; at++) globalThis.console[words[at]] = quiet;

  // The same message gives the same result: chance begins anew with each of them.
  let chance = 1;
  Math.random = function random() {
    chance = (Math.imul(chance, 1664525) + 1013904223) >>> 0;
    return chance / 4294967296;
  };

  // How each known function is called. Those that came before TS013 return the bare data or bytes.
  const calls = {
    decodeUplink: (codec, input) => codec(input),
    Decode: (codec, input) => ({ data: codec(input.fPort, input.bytes, input.variables) }),
    Decoder: (codec, input) => ({ data: codec(input.bytes, input.fPort) }),
    rawDataToProtocol: (codec, input) => ({ data: codec(signed(input.bytes)) }),
    rawDataToTyLink: (codec, input) => ({ data: codec(input.bytes) }),
    encodeDownlink: (codec, input) => listed(codec(input)),
    Encode: (codec, input) => bare(codec(input.fPort, input.data, input.variables), input),
    Encoder: (codec, input) => bare(codec(input.data, input.fPort), input),
    protocolToRawData: (codec, input) => bare(codec(input.data), input),
    tyLinkToRawData: (codec, input) => bare(codec(input.data), input),
    decodeDownlink: (codec, input) => codec(input),
    normalizeUplink: (codec, input) => codec(input),
  };
  const older = {
    decodeUplink: ["Decode", "Decoder", "rawDataToProtocol", "rawDataToTyLink"],
    encodeDownlink: ["Encode", "Encoder", "protocolToRawData", "tyLinkToRawData"],
  };
  const found = {};

  function signed(bytes) {
    for (let at = 0; at < bytes.length; at++) bytes[at] = (bytes[at] << 24) >> 24;
    return bytes;
  }

  // A Buffer or Uint8Array is written by JSON as an object; what was meant is a list.
  function list(bytes) {
    if (!isView(bytes)) return bytes;
    const out = [];
    for (let at = 0; at < bytes.length; at++) out[at] = bytes[at];
    return out;
  }

  function listed(output) {
    if (output && isView(output.bytes)) output.bytes = list(output.bytes);
    return output;
  }

  function bare(bytes, input) {
    const output = { bytes: list(bytes) };
    if (input.fPort !== undefined) output.fPort = input.fPort;
    return output;
  }

  function named(name, scope) {
    if (scope && typeof scope[name] === "function") {
      return (...given) => apply(scope[name], scope, given);
    }
    if (typeof globalThis[name] === "function") return globalThis[name];
    try {
      return indirect("typeof " + name + ' === "function" ? ' + name + " : undefined");
    } catch {
      return undefined; // declared, but the script ended before its value was set
    }
  }

  // Nobody waits for a Promise: network servers do not either, and would store an empty object.
  function settled(output) {
    const late = (one) => one instanceof RealPromise;
    if (late(output) || (output && (late(output.data) || late(output.bytes)))) {
      throw new RealTypeError("the codec answers with a Promise: its function must not be async");
    }
    return output;
  }

  function find(scopes) {
    const names = [];
    for (const name in calls) {
      let codec;
      for (let at = 0; codec === undefined && at < scopes.length; at++) {
        codec = named(name, scopes[at]);
      }
      if (codec === undefined) continue;
      const call = calls[name];
      found[name] = (input) => settled(call(codec, input));
      names[names.length] = name;
    }
    for (const name in older) {
      for (let at = 0; found[name] === undefined && at < older[name].length; at++) {
        found[name] = found[older[name][at]];
      }
    }
    return join(names, " ");
  }

  // TS013: what the codec decoded, and beside it what it makes of that in the common vocabulary.
  function normalized(input) {
    const output = found.decodeUplink(input);
    if (!output || (output.errors && output.errors.length)) return output;
    const more = found.normalizeUplink({ data: output.data });
    if (more && more.errors && more.errors.length) return { errors: more.errors };
    const data = more ? more.data : undefined;
    const whole = data === undefined || data === null ? [] : isArray(data) ? data : [data];
    return { ...output, data: { ...output.data, normalized: whole } };
  }

  // What JSON has no word for: {"\0": "NaN"}, {"\0": "-Infinity"}, {"\0": "12345678901234567890"}
  function beyond(_key, value) {
    const strange = typeof value === "bigint" || (typeof value === "number" && !isFinite(value));
    return strange ? { "\0": text(value) } : value;
  }

  function written(output) {
    try {
      const made = stringify(output);
      if (made === undefined) return "null";
      if (!includes(made, "null")) return made;
    } catch (error) {
      // a BigInt perhaps, which the second attempt can write
      if (!(error instanceof RealTypeError)) return "!" + text(error);
    }
    try {
      return stringify(output, beyond);
    } catch (error) {
      return "!" + text(error);
    }
  }

  // A codec that looks for a variable finds none; one that copies its input sees nothing of it.
  const without = () => ({ value: {}, writable: true, configurable: true, enumerable: false });

  function caller(name) {
    const call = name === "normalized" ? found.normalizeUplink && normalized : found[name];
    if (call === undefined) return undefined;
    return function (given) {
      chance = 1;
      const input = parse(given);
      if (input.recvTime !== undefined) {
        const moment = new RealDate(input.recvTime);
        if (valid(moment) === valid(moment)) input.recvTime = moment;
        else delete input.recvTime;
      }
      if (input.variables === undefined) defineProperty(input, "variables", without());
      return written(call(input));
    };
  }

  return function (task, argument) {
    return task === "find" ? find(argument) : caller(argument);
  };
})();
