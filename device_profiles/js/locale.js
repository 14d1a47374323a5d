// What a desktop engine writes for people in its default language (en-US) and in UTC.
(function () {
  "use strict";
  const hidden = (target, methods) => {
    for (const name of Object.keys(methods)) {
      const entry = { value: methods[name], writable: true, configurable: true };
      Object.defineProperty(target, name, entry);
    }
  };
  const two = (value) => String(value).padStart(2, "0");
  const plain = Date.prototype.toString;
  const plainTime = Date.prototype.toTimeString;
  const months = "January February March April May June July August September October November December";
  const days = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday";
  const dateKeys = ["weekday", "year", "month", "day"];
  const timeKeys = ["hour", "minute", "second"];

  function grouped(digits) {
    return digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  }

  // toFixed rounds the binary value; people's notation rounds the shortest decimal one, half away.
  function rounded(value, places) {
    const [whole, part = ""] = value.toString().split(".");
    if (part.length <= places || /e/.test(part)) return value.toFixed(Math.min(places, 20));
    const scaled = BigInt(whole + part.slice(0, places)) + (part[places] >= "5" ? 1n : 0n);
    const digits = scaled.toString().padStart(places + 1, "0");
    return places ? digits.slice(0, -places) + "." + digits.slice(-places) : digits;
  }

  function numeral(value, options = {}) {
    if (Number.isNaN(value)) return "NaN";
    const sign = value < 0 || Object.is(value, -0) ? "-" : "";
    if (!Number.isFinite(value)) return sign + "∞";
    const percent = options.style === "percent";
    const least = options.minimumFractionDigits ?? 0;
    const most = options.maximumFractionDigits ?? Math.max(least, percent ? 0 : 3);
    const size = Math.abs(value) * (percent ? 100 : 1);
    let [whole, part = ""] = (size >= 1e21 ? BigInt(size).toString() : rounded(size, most)).split(".");
    while (part.length > least && part.endsWith("0")) part = part.slice(0, -1);
    if (options.useGrouping !== false) whole = grouped(whole);
    return sign + whole + (part ? "." + part : "") + (percent ? "%" : "");
  }

  function clock(date, options) {
    const hour24 = date.getUTCHours();
    const half = options.hour12 === undefined ? options.hourCycle !== "h23" : options.hour12;
    const hour = half ? hour24 % 12 || 12 : hour24;
    const parts = [];
    const wide = options.hour === "2-digit" || !half;
    if (options.hour) parts.push(wide ? two(hour) : String(hour));
    if (options.minute) parts.push(two(date.getUTCMinutes()));
    if (options.second) parts.push(two(date.getUTCSeconds()));
    return parts.join(":") + (half && options.hour ? (hour24 < 12 ? " AM" : " PM") : "");
  }

  function calendar(date, options) {
    const day = options.day && (options.day === "2-digit" ? two(date.getUTCDate()) : date.getUTCDate());
    const full = date.getUTCFullYear();
    const year = options.year && (options.year === "2-digit" ? two(full % 100) : full);
    const name = days.split(" ")[date.getUTCDay()];
    const weekday = options.weekday && (options.weekday === "long" ? name : name.slice(0, 3));
    const number = date.getUTCMonth() + 1;
    if (options.month === "long" || options.month === "short") {
      const word = months.split(" ")[number - 1];
      const month = options.month === "long" ? word : word.slice(0, 3);
      const first = [month, day].filter(Boolean).join(" ");
      return [weekday, first, year].filter(Boolean).join(day ? ", " : " ");
    }
    const month = options.month && (options.month === "2-digit" ? two(number) : number);
    const figures = [month, day, year].filter((part) => part !== undefined).join("/");
    return [weekday, figures].filter(Boolean).join(", ");
  }

  function worded(date, given, wanted) {
    if (Number.isNaN(date.getTime())) return "Invalid Date";
    let options = given || {};
    const named = [...dateKeys, ...timeKeys].some((key) => options[key] !== undefined);
    if (!named) {
      options = { ...options };
      for (const key of wanted) options[key] = "numeric";
    }
    const parts = [];
    if (dateKeys.some((key) => options[key])) parts.push(calendar(date, options));
    if (timeKeys.some((key) => options[key])) parts.push(clock(date, options));
    return parts.join(", ");
  }

  const simple = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  const order = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

  hidden(Number.prototype, {
    toLocaleString(_language, options) {
      return numeral(Number(this), options);
    },
  });
  hidden(Date.prototype, {
    toLocaleString(_language, options) {
      return worded(this, options, ["year", "month", "day", "hour", "minute", "second"]);
    },
    toLocaleDateString(_language, options) {
      return worded(this, options, ["year", "month", "day"]);
    },
    toLocaleTimeString(_language, options) {
      return worded(this, options, ["hour", "minute", "second"]);
    },
    toString() {
      const found = plain.call(this);
      return found === "Invalid Date" ? found : found + " (Coordinated Universal Time)";
    },
    toTimeString() {
      const found = plainTime.call(this);
      return found === "Invalid Date" ? found : found + " (Coordinated Universal Time)";
    },
  });
  hidden(String.prototype, {
    // Letters first, then accents, then small before large, as UTS #10 does.
    localeCompare(other) {
      const [mine, its] = [String(this), String(other)];
      const swapped = (text) =>
        text.replace(/./gu, (one) => (one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase()));
      return (
        order(simple(mine).toLowerCase(), simple(its).toLowerCase()) ||
        order(mine.normalize("NFD").toLowerCase(), its.normalize("NFD").toLowerCase()) ||
        order(swapped(mine), swapped(its))
      );
    },
  });
})();
