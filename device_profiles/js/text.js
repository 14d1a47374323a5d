// TextEncoder and TextDecoder (WHATWG Encoding) for UTF-8 and Latin-1, over the Buffer shim.
(function () {
  "use strict";
  const Bytes = globalThis.Buffer;
  const labels = {
    utf8: "utf-8", "utf-8": "utf-8", "unicode-1-1-utf-8": "utf-8",
    ascii: "windows-1252", "us-ascii": "windows-1252", latin1: "windows-1252",
    "iso-8859-1": "windows-1252", "windows-1252": "windows-1252",
    "utf-16le": "utf-16le", "utf-16": "utf-16le",
  };
  // Windows-1252 has letters where Latin-1 has control characters (Encoding, index-windows-1252).
  const upper =
    "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f" +
    "\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

  function viewed(input) {
    if (input === undefined) return new Bytes(0);
    if (ArrayBuffer.isView(input)) return Bytes.from(input.buffer, input.byteOffset, input.byteLength);
    if (input instanceof ArrayBuffer) return Bytes.from(input);
    throw new TypeError("the input is neither a buffer nor a view of one");
  }

  function windows1252(bytes) {
    let out = "";
    for (const byte of bytes) {
      out += byte >= 0x80 && byte < 0xa0 ? upper[byte - 0x80] : String.fromCharCode(byte);
    }
    return out;
  }

  function utf16(bytes, fatal) {
    if (fatal && bytes.length % 2) throw new TypeError("The encoded data was not valid");
    let out = "";
    for (let at = 0; at + 1 < bytes.length; at += 2) {
      out += String.fromCharCode(bytes[at] | (bytes[at + 1] << 8));
    }
    return (bytes.length % 2 ? out + "\ufffd" : out).toWellFormed();
  }

  function utf8(bytes, fatal) {
    const out = bytes.toString("utf8");
    if (fatal && !Bytes.from(out, "utf8").equals(bytes)) {
      throw new TypeError("The encoded data was not valid");
    }
    return out;
  }

  class TextDecoder {
    #fatal;
    constructor(label = "utf-8", options = {}) {
      const encoding = labels[String(label).trim().toLowerCase()];
      if (encoding === undefined) throw new RangeError("unknown encoding: " + label);
      this.encoding = encoding;
      this.ignoreBOM = Boolean(options.ignoreBOM);
      this.fatal = this.#fatal = Boolean(options.fatal);
    }
    decode(input) {
      const bytes = viewed(input);
      if (this.encoding === "windows-1252") return windows1252(bytes);
      const out = (this.encoding === "utf-8" ? utf8 : utf16)(bytes, this.#fatal);
      return !this.ignoreBOM && out.charCodeAt(0) === 0xfeff ? out.slice(1) : out;
    }
  }

  class TextEncoder {
    get encoding() {
      return "utf-8";
    }
    encode(text = "") {
      return new Uint8Array(Bytes.from(String(text), "utf8"));
    }
  }

  const entry = (value) => ({ value, writable: true, configurable: true });
  Object.defineProperty(globalThis, "TextDecoder", entry(TextDecoder));
  Object.defineProperty(globalThis, "TextEncoder", entry(TextEncoder));
})();
