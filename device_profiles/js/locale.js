// What a desktop engine writes for people: in en-US and UTC unless the codec asks for something
// else. Figures follow the language that it asks for (Unicode CLDR); words are always English.
(function () {
  "use strict";
  const hidden = (target, methods) => {
    for (const name of Object.keys(methods)) {
      const entry = { value: methods[name], writable: true, configurable: true };
      Object.defineProperty(target, name, entry);
    }
  };
  const two = (value) => String(value).padStart(2, "0");
  const months = "January February March April May June July August September October November December";
  const days = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday";
  const dateKeys = ["weekday", "year", "month", "day", "dateStyle"];
  const timeKeys = ["hour", "minute", "second", "timeStyle"];
  const [thin, wide] = ["\u202f", "\u00a0"];

  // Date, what stands between date and time, clock, decimal mark, mark of groups, and whether
  // numbers of four digits have one.
  const languages = {
    en: "M/D/Y|, |h:mm:ss AM|.|,|1", "en-GB": "DD/MM/Y|, |HH:mm:ss|.|,|1",
    "en-CA": "Y-MM-DD|, |h:mm:ss a.m.|.|,|1", "en-AU": "DD/MM/Y|, |h:mm:ss am|.|,|1",
    "en-NZ": "D/MM/Y|, |h:mm:ss am|.|,|1", "en-IE": "D/M/Y|, |HH:mm:ss|.|,|1",
    de: "D.M.Y|, |HH:mm:ss|,|.|1", "de-AT": `D.M.Y|, |HH:mm:ss|,|${wide}|1`,
    "de-CH": "D.M.Y|, |HH:mm:ss|.|'|1", fr: `DD/MM/Y| |HH:mm:ss|,|${thin}|1`,
    "fr-CH": `DD.MM.Y| |HH:mm:ss|,|${thin}|1`, nl: "D-M-Y|, |HH:mm:ss|,|.|1",
    "nl-BE": "D/M/Y|, |HH:mm:ss|,|.|1", it: "DD/MM/Y|, |HH:mm:ss|,|.|2",
    es: "D/M/Y|, |H:mm:ss|,|.|2", "es-MX": "D/M/Y|, |h:mm:ss a.m.|.|,|1",
    pt: "DD/MM/Y|, |HH:mm:ss|,|.|1", "pt-PT": `DD/MM/Y|, |HH:mm:ss|,|${wide}|2`,
    sv: `Y-MM-DD| |HH:mm:ss|,|${wide}|1`, nb: `D.M.Y|, |HH:mm:ss|,|${wide}|1`,
    no: `D.M.Y|, |HH:mm:ss|,|${wide}|1`, da: "D.M.Y|, |HH.mm.ss|,|.|1",
    fi: `D.M.Y| klo |H.mm.ss|,|${wide}|1`, pl: `D.MM.Y|, |HH:mm:ss|,|${wide}|2`,
    cs: `D. M. Y| |H:mm:ss|,|${wide}|1`, sk: `D. M. Y| |H:mm:ss|,|${wide}|1`,
    ro: "DD.MM.Y|, |HH:mm:ss|,|.|1", tr: "DD.MM.Y| |HH:mm:ss|,|.|1",
    ru: `DD.MM.Y|, |HH:mm:ss|,|${wide}|1`, uk: `DD.MM.Y|, |HH:mm:ss|,|${wide}|1`,
    zh: "Y/M/D| |HH:mm:ss|.|,|1", ja: "Y/M/D| |H:mm:ss|.|,|1",
  };

  // Minutes east of Greenwich in winter, and whose rule says when summer is.
  const zones = {
    "Europe/London": "0 EU", "Europe/Dublin": "0 EU", "Europe/Lisbon": "0 EU", "Europe/Moscow": "180",
    "Europe/Istanbul": "180", "Europe/Minsk": "180", "America/New_York": "-300 US",
    "America/Toronto": "-300 US", "America/Detroit": "-300 US", "America/Chicago": "-360 US",
    "America/Denver": "-420 US", "America/Phoenix": "-420", "America/Los_Angeles": "-480 US",
    "America/Vancouver": "-480 US", "America/Sao_Paulo": "-180", "America/Bogota": "-300",
    "Asia/Shanghai": "480", "Asia/Hong_Kong": "480", "Asia/Taipei": "480", "Asia/Singapore": "480",
    "Asia/Tokyo": "540", "Asia/Seoul": "540", "Asia/Kolkata": "330", "Asia/Calcutta": "330",
    "Asia/Dubai": "240", "Asia/Bangkok": "420", "Asia/Ho_Chi_Minh": "420", "Asia/Jakarta": "420",
    "Asia/Manila": "480", "Asia/Kuala_Lumpur": "480", "Australia/Sydney": "600 AU",
    "Australia/Melbourne": "600 AU", "Australia/Brisbane": "600", "Australia/Perth": "480",
    "Africa/Johannesburg": "120", "Africa/Lagos": "60", "Africa/Nairobi": "180",
  };
  const east = "Athens Bucharest Helsinki Kiev Kyiv Riga Sofia Tallinn Vilnius".split(" ");
  const middle =
    "Amsterdam Belgrade Berlin Bratislava Brussels Budapest Copenhagen Ljubljana Luxembourg " +
    "Madrid Malta Oslo Paris Prague Rome Stockholm Vienna Warsaw Zagreb Zurich";
  for (const city of east) zones["Europe/" + city] = "120 EU";
  for (const city of middle.split(" ")) zones["Europe/" + city] = "60 EU";

  function language(wanted) {
    const tag = String((Array.isArray(wanted) ? wanted[0] : wanted) ?? "en");
    if (!/^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(tag)) {
      throw new RangeError("Incorrect locale information provided");
    }
    const [date, between, time, mark, group, least] = (
      languages[tag] || languages[tag.split("-")[0].toLowerCase()] || languages.en
    ).split("|");
    return { date, between, time, mark, group, least: Number(least) };
  }

  // The day of the month of the n-th Sunday, or with n = 0 of the last.
  function sunday(year, month, n) {
    const last = new Date(Date.UTC(year, month + 1, 0));
    if (n === 0) return last.getUTCDate() - last.getUTCDay();
    return 1 + ((7 - new Date(Date.UTC(year, month, 1)).getUTCDay()) % 7) + 7 * (n - 1);
  }

  function summer(time, rule, offset) {
    const year = new Date(time + offset * 60000).getUTCFullYear();
    const at = (month, n, minutes) => Date.UTC(year, month, sunday(year, month, n)) + minutes * 60000;
    if (rule === "EU") return time >= at(2, 0, 60) && time < at(9, 0, 60);
    if (rule === "US") return time >= at(2, 2, 120 - offset) && time < at(10, 1, 60 - offset);
    return time < at(3, 1, 120 - offset) || time >= at(9, 1, 120 - offset);
  }

  // The offset of a zone at an instant, in minutes.
  function offsetOf(zone, time) {
    const name = String(zone ?? "UTC");
    if (/^(etc\/)?(utc|gmt|zulu|universal)$/i.test(name)) return 0;
    const fixed = /^([+-])(\d\d):?(\d\d)$/.exec(name);
    if (fixed) return (fixed[1] === "-" ? -1 : 1) * (fixed[2] * 60 + Number(fixed[3]));
    const found = zones[Object.keys(zones).find((one) => one.toLowerCase() === name.toLowerCase())];
    if (!found) throw new RangeError("Invalid time zone specified, or one not known here: " + name);
    const [minutes, rule] = found.split(" ");
    return Number(minutes) + (rule && summer(time, rule, Number(minutes)) ? 60 : 0);
  }

  function zoneName(zone, offset) {
    const us = { "-300": "E", "-360": "C", "-420": "M", "-480": "P" };
    if (offset === 0) return /london|dublin|lisbon|gmt/i.test(zone ?? "") ? "GMT" : "UTC";
    const known = zones[zone] || "";
    if (known.endsWith("US")) {
      const winter = known.split(" ")[0];
      return us[winter] + (Number(winter) === offset ? "ST" : "DT");
    }
    const size = Math.abs(offset);
    const minutes = size % 60 ? ":" + two(size % 60) : "";
    return "GMT" + (offset < 0 ? "-" : "+") + Math.trunc(size / 60) + minutes;
  }

  function grouped(digits, mark) {
    return digits.replace(/\B(?=(\d{3})+(?!\d))/g, mark);
  }

  // toFixed rounds the binary value; people's notation rounds the shortest decimal one, half away.
  function rounded(value, places) {
    const [whole, part = ""] = value.toString().split(".");
    if (part.length <= places || /e/.test(part)) return value.toFixed(Math.min(places, 20));
    const scaled = BigInt(whole + part.slice(0, places)) + (part[places] >= "5" ? 1n : 0n);
    const digits = scaled.toString().padStart(places + 1, "0");
    return places ? digits.slice(0, -places) + "." + digits.slice(-places) : digits;
  }

  function figures(size, options, least, most) {
    const [fewest, digits] = [options.minimumSignificantDigits, options.maximumSignificantDigits];
    if (fewest === undefined && digits === undefined) {
      let [whole, part = ""] = (size >= 1e21 ? BigInt(size).toString() : rounded(size, most)).split(".");
      while (part.length > least && part.endsWith("0")) part = part.slice(0, -1);
      return [whole, part];
    }
    const value = digits === undefined ? size : Number(size.toPrecision(digits));
    let [whole, part = ""] = (/e/.test(value) ? value.toFixed(20) : String(value)).split(".");
    const places = value === 0 ? 0 : Math.floor(Math.log10(value));
    const kept = Math.max(0, (fewest ?? 1) - 1 - places);
    while (part.length > kept && part.endsWith("0")) part = part.slice(0, -1);
    return [whole, part.padEnd(kept, "0")];
  }

  function numeral(value, wanted, options = {}) {
    const { mark, group, least: bar } = language(wanted);
    if (Number.isNaN(value)) return "NaN";
    const minus = /^(fi|nb|no|sv)\b/.test(wanted) ? "−" : "-";
    const sign = value < 0 || Object.is(value, -0) ? minus : "";
    if (!Number.isFinite(value)) return sign + "∞";
    const percent = options.style === "percent";
    const money = options.style === "currency";
    const cents = money && options.maximumFractionDigits === undefined ? 2 : 0;
    const least = options.minimumFractionDigits ?? cents;
    const most = options.maximumFractionDigits ?? Math.max(least, percent ? 0 : money ? 2 : 3);
    let [whole, part] = figures(Math.abs(value) * (percent ? 100 : 1), options, least, most);
    whole = whole.padStart(options.minimumIntegerDigits ?? 1, "0");
    if (options.useGrouping !== false && whole.length >= 3 + bar) whole = grouped(whole, group);
    const signs = { USD: "$", EUR: "€", GBP: "£" };
    const unit = money ? signs[options.currency] || options.currency + wide : "";
    const space = percent && group !== "," ? wide : "";
    return sign + unit + whole + (part ? mark + part : "") + (percent ? space + "%" : "");
  }

  function clock(date, options, form) {
    const hour24 = date.getUTCHours();
    const cycle = options.hourCycle ? options.hourCycle === "h12" : form.includes("h");
    const half = options.hour12 === undefined ? cycle : options.hour12;
    // who counts to 12 counts to 24 when asked not to
    const midnight = options.hour12 === false && form.startsWith("h") ? 24 : 0;
    const hour = half ? hour24 % 12 || 12 : hour24 || midnight;
    const parts = [];
    const padded = options.hour === "2-digit" || (!half && !/^H[:.]/.test(form));
    if (options.hour) parts.push(padded ? two(hour) : String(hour));
    if (options.minute) parts.push(two(date.getUTCMinutes()));
    if (options.second) parts.push(two(date.getUTCSeconds()));
    const noon = form.split(" ")[1] || "AM";
    const word = hour24 < 12 ? noon : noon.replace("a", "p").replace("A", "P");
    return parts.join(form.includes(".mm") ? "." : ":") + (half && options.hour ? " " + word : "");
  }

  function calendar(date, options, form) {
    const full = date.getUTCFullYear();
    const shown = {
      D: options.day && (options.day === "2-digit" ? two(date.getUTCDate()) : date.getUTCDate()),
      Y: options.year && (options.year === "2-digit" ? two(full % 100) : full),
    };
    const name = days.split(" ")[date.getUTCDay()];
    const weekday = options.weekday && (options.weekday === "long" ? name : name.slice(0, 3));
    const number = date.getUTCMonth() + 1;
    if (options.month === "long" || options.month === "short") {
      const word = months.split(" ")[number - 1];
      const month = options.month === "long" ? word : word.slice(0, 3);
      const first = [month, shown.D].filter(Boolean).join(" ");
      return [weekday, first, shown.Y].filter(Boolean).join(shown.D ? ", " : " ");
    }
    shown.M = options.month && (options.month === "2-digit" ? two(number) : number);
    const tokens = form.match(/D+|M+|Y/g);
    const all = tokens.every((token) => shown[token[0]] !== undefined);
    const written = (token) => (token.length > 1 ? two(shown[token[0]]) : shown[token[0]]);
    const separator = form.replace(/^(?:D+|M+|Y)/, "").match(/^[^DMY]+/)[0];
    const figures = all
      ? form.replace(/D+|M+|Y/g, written)
      : tokens.filter((token) => shown[token[0]] !== undefined).map(written).join(separator);
    return [weekday, figures].filter(Boolean).join(", ");
  }

  const dateStyles = {
    full: { weekday: "long", month: "long", day: "numeric", year: "numeric" },
    long: { month: "long", day: "numeric", year: "numeric" },
    medium: { month: "short", day: "numeric", year: "numeric" },
    short: { month: "numeric", day: "numeric", year: "2-digit" },
  };
  const shortTime = { hour: "numeric", minute: "2-digit" };

  function worded(instant, wanted, given, defaults) {
    const form = language(wanted);
    let options = given || {};
    const offset = offsetOf(options.timeZone, instant.getTime());
    if (Number.isNaN(instant.getTime())) return "Invalid Date";
    const date = new Date(instant.getTime() + offset * 60000);
    const named = [...dateKeys, ...timeKeys].some((key) => options[key] !== undefined);
    options = { ...options };
    if (!named) for (const key of defaults) options[key] = "numeric";
    const { dateStyle, timeStyle } = options;
    Object.assign(options, dateStyles[dateStyle]);
    if (timeStyle) Object.assign(options, shortTime, timeStyle === "short" ? {} : { second: "2-digit" });
    const zoned = options.timeZoneName || timeStyle === "long" || timeStyle === "full";
    const parts = [];
    if (dateKeys.some((key) => options[key])) parts.push(calendar(date, options, form.date));
    if (timeKeys.some((key) => options[key])) parts.push(clock(date, options, form.time));
    const between = timeStyle && (dateStyle === "full" || dateStyle === "long") ? " at " : form.between;
    const text = parts.join(between);
    if (!zoned) return text;
    const timed = timeKeys.some((key) => options[key]);
    return text + (timed ? " " : ", ") + zoneName(options.timeZone, offset);
  }

  const day = ["year", "month", "day"];
  const moment = [...day, "hour", "minute", "second"];
  // toLocaleDateString({hour}) writes the date beside the hour, toLocaleTimeString({day}) the time.
  function dated(options, keys, missing) {
    if (!options || keys.some((key) => options[key] !== undefined)) return options;
    const given = { ...options };
    for (const key of missing) given[key] = "numeric";
    return given;
  }

  // Intl, as far as codecs go: figures and dates as above.
  const made = (wanted, options, more) => ({
    resolvedOptions: () => ({
      locale: String(wanted ?? "en-US"),
      timeZone: options?.timeZone ?? "UTC",
      numberingSystem: "latn",
      ...more,
    }),
  });
  function NumberFormat(wanted, options) {
    language(wanted);
    return { format: (value) => numeral(Number(value), wanted, options), ...made(wanted, options) };
  }
  function DateTimeFormat(wanted, options) {
    const format = (value) => worded(new Date(value ?? Date.now()), wanted, options, day);
    offsetOf(options?.timeZone, 0);
    return { format, ...made(wanted, options, { calendar: "gregory" }) };
  }
  function Collator() {
    return { compare: (one, other) => String(one).localeCompare(other) };
  }
  hidden(globalThis, { Intl: { NumberFormat, DateTimeFormat, Collator } });

  const simple = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  const order = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

  hidden(Number.prototype, {
    toLocaleString(wanted, options) {
      return numeral(Number(this), wanted, options);
    },
  });
  hidden(BigInt.prototype, {
    toLocaleString(wanted) {
      return grouped(String(this), language(wanted).group);
    },
  });
  hidden(Date.prototype, {
    toLocaleString(wanted, options) {
      return worded(this, wanted, options, moment);
    },
    toLocaleDateString(wanted, options) {
      return worded(this, wanted, dated(options, dateKeys, day), day);
    },
    toLocaleTimeString(wanted, options) {
      return worded(this, wanted, dated(options, timeKeys, moment.slice(3)), moment.slice(3));
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
