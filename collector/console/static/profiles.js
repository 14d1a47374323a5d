// The life of device profiles: what waits for a person, and how far each roll-out is on which edge.
import { signal } from "@preact/signals";
import { html, Panel } from "./parts.js";
import { ageOf, DASH, span } from "./format.js";
import { now, t } from "./state.js";

const PERIOD_MS = 5000;
const TIMEOUT_MS = 5000;
const SHAPES = { done: "●", shadow: "◇", canary: "◇", rest: "◇", stopped: "■", rolled_back: "■" };

export const life = signal(null);

async function refresh() {
  try {
    const answer = await fetch("api/v1/profile-overview", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.ok) life.value = await answer.json();
  } catch {
    // the page says at its top that the centre does not answer
  }
}

export async function follow() {
  for (;;) {
    if (document.visibilityState !== "hidden" || life.value === null) await refresh();
    await new Promise((done) => setTimeout(done, PERIOD_MS));
  }
}

const Stage = ({ name }) =>
  html`<span class=${`stage ${name}`}><i aria-hidden="true">${SHAPES[name] ?? "◌"}</i> ${t(`r_${name}`)}</span>`;

// What an edge decodes with as it says itself; told something else, that comes after the arrow.
const Edge = ({ edge }) => {
  const asked = edge.active && edge.active !== edge.version ? ` → ${edge.active}` : "";
  const beside = edge.shadow ? ` ◇ ${edge.shadow}` : "";
  return html`<span class=${`edge ${edge.said === "failed" ? "bad" : ""}`} title=${edge.detail ?? ""}>
    <i>${edge.edge}</i> ${edge.said === "failed" ? `${t("r_failed")} ` : ""}${edge.version ?? DASH}${asked}${beside}</span> `;
};

export function Profiles() {
  const found = life.value;
  return html`<${Panel} id="profiles" title=${t("profiles")} place="wide">
    ${found?.pending.length
      ? html`<p class="pending">▲ ${t("pending")}: ${found.pending.map(
          (v) => html`<span key=${`${v.id}@${v.version}`}><b>${v.id}@${v.version}</b> ${v.questions.map((q) => t(`q_${q}`)).join("、")}</span> `,
        )}</p>`
      : null}
    <table>
      <thead><tr>
        <th>${t("profile")}</th><th>${t("version")}</th><th>${t("stage")}</th>
        <th class="n">${t("applied")}</th><th>${t("edges")}</th><th>${t("why")}</th><th class="n">${t("since")}</th>
      </tr></thead>
      <tbody>${found?.rollouts.map(
        (r) => html`<tr key=${r.profile}>
          <td>${r.profile}</td><td>${r.version}</td><td><${Stage} name=${r.stage} /></td>
          <td class="n">${r.applied} / ${r.told}</td>
          <td class="values">${r.edges.map((edge) => html`<${Edge} key=${edge.edge} edge=${edge} />`)}</td>
          <td>${r.reason || DASH}</td><td class="n">${span(ageOf(r.since, now.value))}</td>
        </tr>`,
      )}</tbody>
    </table>
    ${found?.rollouts.length === 0 ? html`<p class="empty">${t("none")}</p>` : null}
  <//>`;
}
