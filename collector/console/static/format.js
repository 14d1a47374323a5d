// Numbers and times as people read them. No data is a dash, never 0.
export const DASH = "—";

const known = (value) => value !== null && value !== undefined;

export const count = (value, lang) =>
  known(value) ? new Intl.NumberFormat(lang === "zh" ? "zh-CN" : "en").format(value) : DASH;

export const decimal = (value, digits = 1) => (known(value) ? Number(value).toFixed(digits) : DASH);

// A span of seconds in the largest unit that leaves a number above 1.
export function span(seconds) {
  if (!known(seconds)) return DASH;
  const s = Math.max(0, seconds);
  if (s < 1) return "<1 s";
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

export const ageOf = (rfc3339, now) => (known(rfc3339) ? (now - Date.parse(rfc3339)) / 1000 : null);

export const clock = (rfc3339) =>
  known(rfc3339) ? new Date(rfc3339).toLocaleTimeString("zh-CN", { hour12: false }) : DASH;

export function value(v) {
  if (!known(v)) return DASH;
  if (typeof v === "boolean") return v ? "✓" : "✗";
  if (typeof v === "number") return String(Math.round(v * 1000) / 1000);
  return String(v);
}

// Whatever a simulator sends is marked: its ids, or its edge's, begin with "sim-".
export const isSimulated = (...ids) => ids.some((id) => typeof id === "string" && id.startsWith("sim-"));
