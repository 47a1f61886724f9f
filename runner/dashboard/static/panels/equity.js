/** The equity curve of each bot, over market time. */

import { byId, el, gain, setText, swatch } from "/static/dom.js";
import { began, moment, money } from "/static/format.js";
import { align, Chart } from "/static/panels/chart.js";

const NEWEST = "";

export function equity(state, touch) {
  const select = byId("equity-run");
  const view = { fetched: new Map(), drawn: [], cursor: null };
  const chart = new Chart(byId("equity-chart"), {
    onCursor: (index) => showLegend(state, view, index),
    onZoom: (zoomed) => (byId("equity-whole").hidden = !zoomed),
  });
  select.addEventListener("change", async () => {
    if (select.value !== NEWEST) view.fetched.set(select.value, await fetchRun(select.value));
    touch(["equity"]);
  });
  byId("equity-whole").addEventListener("click", () => chart.showWhole());
  return {
    topics: ["equity", "theme"],
    update() {
      offerRuns(state, select);
      const names = state.botNames();
      view.drawn = chosen(state, view, select.value).filter((series) => series.points.length > 0);
      byId("equity-chart").hidden = view.drawn.length === 0;
      byId("equity-empty").hidden = view.drawn.length > 0;
      view.table = align(view.drawn.map((series) => series.points));
      const lines = view.drawn.map((series) => ({ run: series.run, label: series.bot, colour: names.indexOf(series.bot) }));
      if (view.drawn.length > 0) chart.draw(lines, view.table, document.documentElement.dataset.theme);
      showLegend(state, view, null);
      setText(byId("equity-text"), view.drawn.map(inWords).join(" "));
    },
  };
}

async function fetchRun(run) {
  const response = await fetch(`/api/equity/${encodeURIComponent(run)}`);
  return response.ok ? (await response.json()).points : [];
}

function chosen(state, view, run) {
  if (run === NEWEST) return state.equity.current.map((one) => state.equity.series.get(one));
  const series = state.equity.series.get(run);
  return series ? [{ ...series, points: series.points.length > 1 ? series.points : (view.fetched.get(run) ?? []) }] : [];
}

/** The newest runs together, or any one run alone. */
function offerRuns(state, select) {
  const runs = [...state.equity.series.values()].sort((a, b) => b.began - a.began);
  const wanted = [NEWEST, ...runs.map((series) => series.run)];
  select.hidden = runs.length === 0;
  if (wanted.join() === [...select.options].map((option) => option.value).join()) return;
  const before = select.value;
  select.replaceChildren(
    el("option", { value: NEWEST }, "Newest runs"),
    ...runs.map((series) => el("option", { value: series.run }, `${series.bot}, ${began(series.began)}`)),
  );
  select.value = wanted.includes(before) ? before : NEWEST;
}

/** Value and change of each line: at the end, or under the cursor. */
function showLegend(state, view, index) {
  const names = state.botNames();
  setText(byId("equity-when"), index === null ? "market time, UTC" : moment(view.table[0][index]));
  byId("equity-legend").replaceChildren(
    ...view.drawn.map((series, line) => {
      const value = index === null ? null : valueAt(view.table[line + 1], index);
      const shown = value === null ? money(series.last) : money(value.toFixed(2));
      return el("span", { className: "legend-item" },
        swatch(names.indexOf(series.bot)),
        el("b", {}, series.bot),
        el("span", { className: "legend-value" }, shown),
        value === null ? gain(series.change, series.change_pct) : "",
      );
    }),
  );
}

function valueAt(values, index) {
  for (let i = index; i >= 0; i--) if (values[i] !== null) return values[i];
  return null;
}

function inWords(series) {
  const [from, to] = [series.points[0][0], series.points.at(-1)[0]];
  return `${series.bot}: from ${money(series.first)} on ${moment(from)} to ${money(series.last)} on ${moment(to)}.`;
}
