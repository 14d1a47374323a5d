// What every panel is made of. A state is a shape and a word, never colour alone.
import { h } from "preact";
import { useEffect, useRef } from "preact/hooks";
import htm from "htm";
import uPlot from "uplot";
import { clock, span } from "./format.js";
import { age, language, stale, status, t } from "./state.js";

export const html = htm.bind(h);

const SHOWN_S = 600;
const hours = (_plot, ticks) => ticks.map((s) => clock(s * 1000));

const SHAPES = {
  online: "●", connected: "●", up: "●",
  degraded: "▲", silent: "▲", no_stream: "▲", auth_failed: "▲", locked_out: "▲",
  offline: "■", down: "■",
  maintenance: "◇", unknown: "◌", stale: "◌",
};

export const State = ({ name, good }) =>
  html`<span class=${`state ${good ? "good" : name}`}><i aria-hidden="true">${SHAPES[name] ?? "◌"}</i> ${t(`s_${name}`)}</span>`;

export const Sim = ({ when }) => (when ? html`<span class="sim">${t("simulated")}</span>` : null);

// `place` is how much of the page a panel takes: "wide", "most", "beside" (as high as its neighbour) or nothing.
export function Panel({ id, title, place, children }) {
  const s = status.value;
  return html`<section id=${id} class=${`panel ${place ?? ""} ${stale.value ? "stale" : ""}`}>
    <header><h2>${title}</h2>
      <span class="age">${s ? `${t("age")} ${clock(s.time)} · ${span(age.value)} ${t("ago")}` : t("loading")}</span>
    </header>
    <div class="body">${children}</div>
  </section>`;
}

export function Rate() {
  const place = useRef(null);
  const plot = useRef(null);
  const series = status.value?.rate.series;
  useEffect(() => {
    const size = () => ({ width: place.current.clientWidth, height: 130 });
    const axis = { stroke: "#7d97a8", grid: { stroke: "#1d3140" }, ticks: { stroke: "#1d3140" } };
    plot.current = new uPlot(
      {
        ...size(),
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { range: (_u, _min, max) => [max - SHOWN_S, max] },
          y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.1)] },
        },
        axes: [{ ...axis, space: 80, values: hours }, { ...axis, size: 52 }],
        series: [{}, { stroke: "#7fb2d1", fill: "#7fb2d122", width: 1.5, points: { show: false } }],
      },
      [[], []],
      place.current,
    );
    const watch = new ResizeObserver(() => plot.current.setSize(size()));
    watch.observe(place.current);
    return () => {
      watch.disconnect();
      plot.current.destroy();
    };
  }, []);
  useEffect(() => {
    if (series) plot.current.setData(series);
  }, [series]);
  return html`<${Panel} id="rate" title=${`${t("rate")} (${t("rate_unit")})`}><div class="plot" ref=${place} lang=${language.value}></div><//>`;
}
