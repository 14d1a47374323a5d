// Buffer, as far as codecs need it: a Uint8Array that reads and writes numbers and text.
(function () {
  "use strict";
  const digits = "0123456789abcdef";

  function Buffer(value, encoding, length) {
    if (typeof value === "string") return Buffer.from(value, encoding);
    const parts = value === undefined ? [0] : [value];
    if (value instanceof ArrayBuffer) parts.push(encoding, length);
    return Reflect.construct(Uint8Array, parts, new.target || Buffer);
  }
  Object.setPrototypeOf(Buffer, Uint8Array);
  Buffer.prototype = Object.create(Uint8Array.prototype, {
    constructor: { value: Buffer, writable: true, configurable: true },
  });

  function ofHex(text) {
    const out = [];
    for (let at = 0; at + 1 < text.length; at += 2) {
      const high = digits.indexOf(text[at].toLowerCase());
      const low = digits.indexOf(text[at + 1].toLowerCase());
      if (high < 0 || low < 0) break;
      out.push(high * 16 + low);
    }
    return out;
  }

  function ofBase64(text) {
    const plain = text.replace(/-/g, "+").replace(/_/g, "/").replace(/[^A-Za-z0-9+/]/g, "");
    const whole = plain.length % 4 === 1 ? plain.slice(0, -1) : plain;
    return ofLatin1(atob(whole + "===".slice((whole.length + 3) % 4)));
  }

  function ofLatin1(text) {
    const out = new Array(text.length);
    for (let at = 0; at < text.length; at++) out[at] = text.charCodeAt(at) & 255;
    return out;
  }

  function ofUtf8(text) {
    const out = [];
    for (const letter of text) {
      let code = letter.codePointAt(0);
      if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
      if (code < 0x80) out.push(code);
      else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 63));
      else if (code < 0x10000)
        out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
      else
        out.push(
          0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63),
          0x80 | (code & 63),
        );
    }
    return out;
  }

  function utf8(bytes) {
    let out = "";
    for (let at = 0; at < bytes.length; ) {
      const first = bytes[at++];
      let more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : -1;
      if (first > 0xf4) more = -1;
      let code = more < 0 ? 0xfffd : more === 0 ? first : first & (0x3f >> more);
      const least = [0, 0x80, 0x800, 0x10000][more];
      let left = more;
      while (left > 0 && at < bytes.length && (bytes[at] & 0xc0) === 0x80) {
        code = (code << 6) | (bytes[at++] & 63);
        left--;
      }
      const wrong = left > 0 || code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff);
      out += String.fromCodePoint(wrong ? 0xfffd : code);
    }
    return out;
  }

  function letters(bytes, mask) {
    let out = "";
    for (let at = 0; at < bytes.length; at++) out += String.fromCharCode(bytes[at] & mask);
    return out;
  }

  function hex(bytes) {
    let out = "";
    for (let at = 0; at < bytes.length; at++) out += digits[bytes[at] >> 4] + digits[bytes[at] & 15];
    return out;
  }

  function ofUtf16(text) {
    const out = [];
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      out.push(code & 255, code >> 8);
    }
    return out;
  }

  function utf16(bytes) {
    let out = "";
    for (let at = 0; at + 1 < bytes.length; at += 2) {
      out += String.fromCharCode(bytes[at] | (bytes[at + 1] << 8));
    }
    return out;
  }

  const writers = {
    utf16le: ofUtf16, "utf-16le": ofUtf16, ucs2: ofUtf16, "ucs-2": ofUtf16,
    hex: ofHex, base64: ofBase64, base64url: ofBase64, ascii: ofLatin1, latin1: ofLatin1,
    binary: ofLatin1, utf8: ofUtf8, "utf-8": ofUtf8,
  };
  const readers = {
    utf16le: utf16, "utf-16le": utf16, ucs2: utf16, "ucs-2": utf16,
    hex,
    base64: (bytes) => btoa(letters(bytes, 255)),
    base64url: (bytes) =>
      btoa(letters(bytes, 255)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, ""),
    ascii: (bytes) => letters(bytes, 127),
    latin1: (bytes) => letters(bytes, 255),
    binary: (bytes) => letters(bytes, 255),
    utf8,
    "utf-8": utf8,
  };

  function choose(table, encoding) {
    const found = table[String(encoding === undefined ? "utf8" : encoding).toLowerCase()];
    if (!found) throw new TypeError("Unknown encoding: " + encoding);
    return found;
  }

  function filled(values) {
    const out = new Buffer(values.length);
    for (let at = 0; at < values.length; at++) out[at] = values[at];
    return out;
  }

  const own = {
    from(value, encoding, length) {
      if (value instanceof String) value = value.valueOf();
      if (typeof value === "string") return filled(choose(writers, encoding)(value));
      if (value instanceof ArrayBuffer) return new Buffer(value, encoding, length);
      if (value && value.type === "Buffer" && Array.isArray(value.data)) return filled(value.data);
      if (value && typeof value.length === "number") return filled(value);
      if (value && typeof value.valueOf === "function") {
        const inner = value.valueOf();
        if (inner !== value && inner !== null) return own.from(inner, encoding, length);
      }
      throw new TypeError("Buffer.from takes text, a list or a buffer");
    },
    alloc(size, fill, encoding) {
      const out = new Buffer(size);
      return fill === undefined || fill === 0 ? out : out.fill(fill, 0, size, encoding);
    },
    allocUnsafe: (size) => new Buffer(size),
    allocUnsafeSlow: (size) => new Buffer(size),
    of: (...values) => filled(values),
    isEncoding: (name) => typeof name === "string" && name.toLowerCase() in writers,
    compare: (one, other) => Buffer.prototype.compare.call(one, other),
    isBuffer: (value) => value instanceof Buffer,
    byteLength(value, encoding) {
      if (typeof value !== "string") return value.byteLength;
      const name = String(encoding).toLowerCase();
      if (name === "hex") return value.length >>> 1;
      if (name === "base64" || name === "base64url") {
        // Node counts letters here, also those that it leaves out when it decodes
        return ((value.length - (value.match(/={0,2}$/)[0].length)) * 3) >>> 2;
      }
      return (writers[name] || ofUtf8)(value).length;
    },
    concat(list, total) {
      let size = 0;
      for (const one of list) size += one.length;
      const out = new Buffer(total === undefined ? size : total);
      let at = 0;
      for (const one of list) {
        for (let index = 0; index < one.length && at < out.length; index++) out[at++] = one[index];
      }
      return out;
    },
  };

  // A number, text or list of bytes, as the searching and filling functions take them.
  function pattern(value, encoding) {
    if (typeof value === "string") return choose(writers, encoding)(value);
    return typeof value === "number" ? [value & 255] : value;
  }

  function position(buffer, value, start, encoding, step) {
    const code = typeof start === "string" ? start : encoding;
    const wanted = pattern(value, code);
    const last = buffer.length - wanted.length;
    let at = typeof start === "number" && start === start ? Math.trunc(start) : step > 0 ? 0 : last;
    if (at < 0) at += buffer.length;
    if (step < 0) at = Math.min(at, last);
    else at = Math.max(at, 0);
    for (; at >= 0 && at <= last; at += step) {
      let same = 0;
      while (same < wanted.length && buffer[at + same] === wanted[same]) same++;
      if (same === wanted.length) return at;
    }
    return -1;
  }

  function swapped(buffer, size) {
    if (buffer.length % size) throw new RangeError("Buffer size must be a multiple of " + size * 8 + "-bits");
    for (let at = 0; at < buffer.length; at += size) buffer.subarray(at, at + size).reverse();
    return buffer;
  }

  const methods = {
    indexOf(value, start, encoding) {
      return position(this, value, start, encoding, 1);
    },
    lastIndexOf(value, start, encoding) {
      return position(this, value, start, encoding, -1);
    },
    includes(value, start, encoding) {
      return position(this, value, start, encoding, 1) >= 0;
    },
    fill(value, start, end, encoding) {
      if (typeof start === "string") [start, end, encoding] = [0, this.length, start];
      else if (typeof end === "string") [end, encoding] = [this.length, end];
      const wanted = pattern(value, encoding);
      const stop = end === undefined ? this.length : end;
      for (let at = start || 0, from = 0; at < stop; at++, from++) {
        this[at] = wanted.length ? wanted[from % wanted.length] : 0;
      }
      return this;
    },
    compare(other) {
      const size = Math.min(this.length, other.length);
      for (let at = 0; at < size; at++) {
        if (this[at] !== other[at]) return this[at] < other[at] ? -1 : 1;
      }
      return Math.sign(this.length - other.length);
    },
    swap16() {
      return swapped(this, 2);
    },
    swap32() {
      return swapped(this, 4);
    },
    swap64() {
      return swapped(this, 8);
    },
    slice(start, end) {
      return this.subarray(start, end);
    },
    toLocaleString(encoding, start, end) {
      return this.toString(encoding, start, end);
    },
    toString(encoding, start, end) {
      return choose(readers, encoding)(this.subarray(Math.max(0, start || 0), end));
    },
    toJSON() {
      return { type: "Buffer", data: Array.from(this) };
    },
    equals(other) {
      return this.length === other.length && this.every((value, at) => value === other[at]);
    },
    copy(target, targetStart = 0, start = 0, end = this.length) {
      const part = this.subarray(start, Math.min(end, start + target.length - targetStart));
      target.set(part, targetStart);
      return part.length;
    },
    write(text, start = 0, length = undefined, encoding = undefined) {
      const code = typeof length === "string" ? length : encoding;
      const most = typeof length === "number" ? length : this.length - start;
      const values = choose(writers, code)(text).slice(0, Math.min(most, this.length - start));
      this.set(values, start);
      return values.length;
    },
  };

  function outside() {
    throw new RangeError("The value or the offset is out of range");
  }

  function view(buffer, at, size) {
    if (typeof at !== "number") throw new TypeError("The offset must be a number");
    if (at % 1 !== 0 || at < 0 || at + size > buffer.length) outside();
    return new DataView(buffer.buffer, buffer.byteOffset + at, size);
  }

  function define(names, accessor, size, little, low, high) {
    for (const name of names) {
      methods["read" + name] = function (at = 0) {
        return view(this, at, size)["get" + accessor](0, little);
      };
      methods["write" + name] = function (value, at = 0) {
        if (value < low || value > high) outside();
        view(this, at, size)["set" + accessor](0, value, little);
        return at + size;
      };
    }
  }

  for (const [kind, little] of [["LE", true], ["BE", false]]) {
    for (const bits of [16, 32]) {
      const top = 2 ** bits;
      define(["Int" + bits + kind], "Int" + bits, bits / 8, little, -top / 2, top / 2 - 1);
      define(["UInt" + bits + kind, "Uint" + bits + kind], "Uint" + bits, bits / 8, little, 0, top - 1);
    }
    define(["Float" + kind], "Float32", 4, little, -Infinity, Infinity);
    define(["Double" + kind], "Float64", 8, little, -Infinity, Infinity);
    define(["BigInt64" + kind], "BigInt64", 8, little, -(2n ** 63n), 2n ** 63n - 1n);
    define(["BigUInt64" + kind, "BigUint64" + kind], "BigUint64", 8, little, 0n, 2n ** 64n - 1n);
    const unsigned = function (at, size) {
      if (!(size >= 1 && size <= 6)) outside();
      const part = view(this, at, size);
      let value = 0;
      for (let step = 0; step < size; step++) {
        value = value * 256 + part.getUint8(little ? size - 1 - step : step);
      }
      return value;
    };
    methods["readUInt" + kind] = methods["readUint" + kind] = unsigned;
    methods["readInt" + kind] = function (at, size) {
      const value = unsigned.call(this, at, size);
      return value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value;
    };
    const store = (signed) => function (value, at, size) {
      if (!(size >= 1 && size <= 6)) outside();
      const top = 2 ** (8 * size - signed);
      if (value >= top || value < (signed ? -top : 0)) outside();
      const part = view(this, at, size);
      let rest = value < 0 ? value + 2 ** (8 * size) : value;
      for (let step = 0; step < size; step++) {
        part.setUint8(little ? step : size - 1 - step, rest % 256);
        rest = Math.floor(rest / 256);
      }
      return at + size;
    };
    for (const name of ["UInt", "Uint"]) methods["write" + name + kind] = store(0);
    methods["writeInt" + kind] = store(1);
  }
  define(["Int8"], "Int8", 1, true, -128, 127);
  define(["UInt8", "Uint8"], "Uint8", 1, true, 0, 255);

  for (const [target, functions] of [[Buffer, own], [Buffer.prototype, methods]]) {
    for (const name of Object.keys(functions)) {
      const entry = { value: functions[name], writable: true, configurable: true };
      Object.defineProperty(target, name, entry);
    }
  }
  globalThis.Buffer = Buffer;
})();
