// The city's figures on video feeds, by county: a rate that nothing can be said of is a dash.
import { signal } from "@preact/signals";
import { html, Panel } from "./parts.js";
import { count, DASH } from "./format.js";
import { language, t } from "./state.js";

const PERIOD_MS = 10000;
const TIMEOUT_MS = 5000;
const MOST = 40;

const figures = signal(null);

async function refresh() {
  try {
    const answer = await fetch("api/v1/feeds/kpi?by=area&digits=6", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.ok) figures.value = await answer.json();
  } catch {
    // the page says at its top that the centre does not answer
  }
}

export async function followFigures() {
  for (;;) {
    if (document.visibilityState !== "hidden" || figures.value === null) await refresh();
    await new Promise((done) => setTimeout(done, PERIOD_MS));
  }
}

const percent = (rate) => (rate === null ? DASH : `${(100 * rate).toFixed(2)} %`);

export function Figures() {
  const found = figures.value;
  const lang = language.value;
  const rows = found ? [...found.items.slice(0, MOST), { ...found.total, key: t("all_areas") }] : [];
  return html`<${Panel} id="feed-figures" title=${t("figures")} place="wide">
    <table>
      <thead><tr>
        <th>${t("area")}</th><th class="n">${t("enabled")}</th><th class="n">${t("online_rate")}</th>
        <th class="n">${t("intact_rate")}</th><th class="n">${t("picture_rate")}</th>
        <th class="n">${t("clock_rate")}</th><th class="n">${t("s_unknown")}</th><th class="n">${t("s_maintenance")}</th>
      </tr></thead>
      <tbody>${rows.map(
        (r) => html`<tr key=${r.key}>
          <td>${r.key || DASH}</td><td class="n">${count(r.enabled, lang)}</td><td class="n">${percent(r.online_rate)}</td>
          <td class="n">${percent(r.intact_rate)}</td><td class="n">${percent(r.picture_rate)}</td>
          <td class="n">${percent(r.clock_rate)}</td><td class="n">${count(r.unknown, lang)}</td>
          <td class="n">${count(r.maintenance, lang)}</td>
        </tr>`,
      )}</tbody>
    </table>
  <//>`;
}
