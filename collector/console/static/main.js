// The console's entry: the overview page.
import { render } from "preact";
import { html, Rate } from "./parts.js";
import { Alarms, ByState, Edges, Latest, Tiles } from "./panels.js";
import { Figures, followFigures } from "./figures.js";
import { follow, Profiles } from "./profiles.js";
import { now, reachable, start, t, toggleLanguage } from "./state.js";

function Console() {
  return html`<header class="top">
      <h1>${t("title")} <span>${t("overview")}</span></h1>
      ${reachable.value ? null : html`<strong class="away" role="alert">▲ ${t("unreachable")}</strong>`}
      <time>${new Date(now.value).toLocaleString("zh-CN", { hour12: false })}</time>
      <button type="button" id="language" onClick=${toggleLanguage}>${t("language")}</button>
    </header>
    <main>
      <${Tiles} />
      <${Edges} /><${Alarms} />
      <${ByState} kind="devices" /><${ByState} kind="feeds" /><${ByState} kind="systems" /><${Rate} />
      <${Figures} />
      <${Latest} />
      <${Profiles} />
    </main>`;
}

render(html`<${Console} />`, document.getElementById("app"));
start();
follow();
followFigures();
