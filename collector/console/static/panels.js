// The overview's panels. Text from devices only ever becomes text nodes.
import { html, Panel, State, Sim } from "./parts.js";
import { ageOf, clock, count, decimal, DASH, isSimulated, span, value } from "./format.js";
import { language, now, status, t } from "./state.js";

const total = (states) => Object.values(states ?? {}).reduce((a, b) => a + b, 0);
const GOOD = new Set(["online", "connected", "up"]);

function Tile({ label, number, unit, alert, hint, id }) {
  return html`<div class=${`tile ${alert ? "alert" : ""}`} id=${id} title=${hint ?? ""}>
    <div class="label">${label}</div>
    <div class="number">${number}${unit ? html`<small> ${unit}</small>` : null}</div>
  </div>`;
}

export function Tiles() {
  const s = status.value;
  const lang = language.value;
  // Of how many nothing is known is said beside the number; where nothing is known of any, there is no number.
  const share = (states) => {
    if (!s) return DASH;
    const all = total(states);
    const unsure = (states?.stale ?? 0) + (states?.unknown ?? 0);
    const good = all > 0 && unsure === all ? DASH : count(states?.online ?? states?.up ?? 0, lang);
    const hint = unsure ? html`<small class="unsure" title=${t("unsure")}> ◌ ${count(unsure, lang)}</small>` : null;
    return html`${good}<small> / ${count(all, lang)}</small>${hint}`;
  };
  const connected = s?.edges.filter((e) => e.state === "connected").length;
  return html`<section class="tiles">
    <${Tile} id="tile-edges" label=${t("edges")} alert=${s && connected < s.edges.length}
      number=${s ? html`${count(connected, lang)}<small> / ${count(s.edges.length, lang)}</small>` : DASH} />
    <${Tile} id="tile-devices" label=${t("devices")} number=${share(s?.totals.devices)} />
    <${Tile} id="tile-feeds" label=${t("feeds")} number=${share(s?.totals.feeds)} />
    <${Tile} id="tile-systems" label=${t("systems")} number=${share(s?.totals.systems)} />
    <${Tile} id="tile-alarms" label=${t("alarms")} alert=${s && (s.totals.alarms.critical ?? 0) > 0}
      number=${s ? count(total(s.totals.alarms), lang) : DASH} />
    <${Tile} id="tile-rate" label=${t("rate")} number=${decimal(s?.rate.per_s)} unit=${t("rate_unit")} />
    <${Tile} id="tile-residual" label=${t("residual")} hint=${t("residual_hint")}
      alert=${s && s.totals.residual !== 0} number=${count(s?.totals.residual, lang)} />
  </section>`;
}

// The time that a request takes on its way is in it: what is less says nothing of the clock.
const CLOCK_OFF_S = 30;

export function Edges() {
  const lang = language.value;
  const rows = status.value?.edges;
  return html`<${Panel} id="edges" title=${t("edges")} place="most">
    <table>
      <thead><tr>
        <th>${t("edge")}</th><th>${t("state")}</th><th class="n">${t("lag")}</th><th class="n">${t("backlog")}</th>
        <th class="n">${t("residual")}</th><th class="n">${t("records")}</th><th class="n">${t("lost")}</th>
        <th class="n">${t("devices")}</th><th class="n">${t("feeds")}</th><th class="n">${t("contact")}</th>
      </tr></thead>
      <tbody>${rows?.map(
        (e) => html`<tr key=${e.id}>
          <td>${e.id} <${Sim} when=${isSimulated(e.id)} /></td>
          <td><${State} name=${e.state} good=${e.state === "connected"} />
            ${Math.abs(e.clock_ahead_s ?? 0) > CLOCK_OFF_S
              ? html` <span class="bad">${t(e.clock_ahead_s > 0 ? "clock_ahead" : "clock_behind")} ${span(Math.abs(e.clock_ahead_s))}</span>`
              : null}</td>
          <td class="n">${span(e.lag_s)}</td><td class="n">${count(e.backlog, lang)}</td>
          <td class=${`n ${e.residual ? "bad" : ""}`}>${count(e.residual, lang)}</td>
          <td class="n">${count(e.records, lang)}</td>
          <td class=${`n ${e.lost ? "bad" : ""}`}>${count(e.lost, lang)}</td>
          <td class="n">${count(total(e.devices), lang)}</td><td class="n">${count(total(e.feeds), lang)}</td>
          <td class="n">${span(ageOf(e.last_contact, now.value))}</td>
        </tr>`,
      )}</tbody>
    </table>
    ${rows?.length === 0 ? html`<p class="empty">${t("none")}</p>` : null}
  <//>`;
}

export function ByState({ kind }) {
  const states = status.value?.totals[kind];
  const all = total(states);
  const rows = Object.entries(states ?? {}).sort((a, b) => b[1] - a[1]);
  return html`<${Panel} id=${`${kind}-by-state`} title=${t(kind)}>
    <div class="bars">${rows.map(
      ([name, n]) => html`<div class="bar" key=${name} data-state=${name}>
        <${State} name=${name} good=${GOOD.has(name)} />
        <meter class=${GOOD.has(name) ? "good" : name} min="0" max=${all} value=${n}></meter>
        <b>${count(n, language.value)}</b>
      </div>`,
    )}</div>
    ${status.value && rows.length === 0 ? html`<p class="empty">${t("none")}</p>` : null}
  <//>`;
}

export function Latest() {
  const rows = status.value?.latest;
  return html`<${Panel} id="latest" title=${t("latest")} place="wide">
    <table>
      <thead><tr><th>${t("device")}</th><th>${t("edge")}</th><th>${t("values")}</th><th class="n">${t("time")}</th></tr></thead>
      <tbody>${rows?.map(
        (r) => html`<tr key=${`${r.edge}/${r.device}`}>
          <td class="name" title=${r.device}>${r.device} <${Sim} when=${isSimulated(r.device, r.edge)} /></td><td>${r.edge}</td>
          <td class="values">${r.values.map((v) => html`<span title=${`${v.field} ${value(v.value)}`}><i>${v.field}</i> ${value(v.value)}</span> `)}</td>
          <td class="n">${clock(r.time)}</td>
        </tr>`,
      )}</tbody>
    </table>
    ${rows?.length === 0 ? html`<p class="empty">${t("none")}</p>` : null}
  <//>`;
}

export function Alarms() {
  const rows = status.value?.alarms;
  return html`<${Panel} id="alarms" title=${t("alarms")} place="beside">
    <table>
      <tbody>${rows?.map(
        (a) => html`<tr key=${`${a.edge}/${a.device}/${a.rule}`}>
          <td class=${`severity ${a.severity}`}>${t(`v_${a.severity}`)}</td>
          <td>${a.text[language.value] ?? a.text.en ?? (a.rule === "silence" ? t("r_silence") : a.rule)}
            <small>${a.device} · ${a.edge} <${Sim} when=${isSimulated(a.device, a.edge)} /></small></td>
          <td class="n">${span(ageOf(a.time, now.value))}</td>
        </tr>`,
      )}</tbody>
    </table>
    ${rows?.length === 0 ? html`<p class="empty">${t("none")}</p>` : null}
  <//>`;
}
