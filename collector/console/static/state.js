// The console's one state: what /api/v1/status said last, when, and in which language to show it.
import { signal, computed } from "@preact/signals";
import { words } from "./words.js";

export const PERIOD_MS = 2000;
const TIMEOUT_MS = 5000;

// ?lang=en for a screen that nobody touches; else what was chosen last; else Chinese.
const asked = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem("language");
export const language = signal(asked === "en" ? "en" : "zh");
export const status = signal(null);
export const reachable = signal(true);
export const now = signal(Date.now());

// The server's clock decides how old data is: a wall screen's own clock may be wrong.
let skew = 0;

export const t = (key) => words[language.value][key] ?? key;

const speak = () => (document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en");
speak();

export function toggleLanguage() {
  language.value = language.value === "zh" ? "en" : "zh";
  localStorage.setItem("language", language.value);
  speak();
}

export const age = computed(() =>
  status.value ? (now.value - Date.parse(status.value.time)) / 1000 : null,
);
export const stale = computed(() => age.value !== null && age.value * 1000 > 2 * PERIOD_MS + 1000);

async function refresh() {
  try {
    const answer = await fetch("api/v1/status", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const body = await answer.json();
    skew = Date.parse(body.time) - Date.now();
    status.value = body;
    reachable.value = true;
  } catch {
    reachable.value = false;
  }
}

export async function start() {
  setInterval(() => (now.value = Date.now() + skew), 1000);
  for (;;) {
    if (document.visibilityState !== "hidden" || status.value === null) await refresh();
    now.value = Date.now() + skew;
    await new Promise((done) => setTimeout(done, PERIOD_MS));
  }
}
