/** Each bot: whether it runs, what it is worth, when it was last heard. */

import { byId, el, gainPercent, keyed, setText, swatch } from "/static/dom.js";
import { count, duration, money } from "/static/format.js";

const SILENT_AFTER_SECONDS = 60;

export function bots(state) {
  return {
    topics: ["live_system_status", "live_positions", "equity", "counts", "time"],
    update() {
      const names = state.botNames();
      const statuses = state.newest("live_system_status").sort((a, b) => (a.bot < b.bot ? -1 : 1));
      byId("bots").hidden = statuses.length === 0;
      byId("bots-empty").hidden = statuses.length > 0;
      const rows = statuses.map((status) => ({ ...status, ...condition(status), ...figures(state, status) }));
      keyed(byId("bots").tBodies[0], rows, (row) => row.key, version, (row) => build(row, names.indexOf(row.bot)));
      for (const row of rows) setText(byId(`heard-${row.key}`), `heard ${row.heard} ago`);
      const bars = rows.reduce((all, row) => all + (row.bars ?? 0), 0);
      setText(byId("bots-aside"), bars > 0 ? `${count(bars)} bars` : "");
    },
  };
}

const version = (row) => [row.name, row.series?.last ?? row.equity, row.closed, row.open].join();

/** What is newer than the last heartbeat. */
function figures(state, status) {
  return {
    series: state.equity.current.includes(status.run) ? state.equity.series.get(status.run) : undefined,
    closed: state.closedTrades(status),
    open: state.openPositions().filter((position) => position.run === status.run).length,
  };
}

function condition(status) {
  const silence = Math.max(0, (Date.now() - Date.parse(status.ts)) / 1000);
  const heard = duration(silence);
  if (status.halted) return { name: "halted", shape: "■", heard };
  if (status.status === "stopped") return { name: "stopped", shape: "○", heard };
  if (silence > SILENT_AFTER_SECONDS) return { name: "silent", shape: "◌", heard };
  return { name: status.status, shape: "●", heard };
}

function build(row, index) {
  const worth = row.series?.last ?? row.equity;
  return el("tr", {},
    el("th", { scope: "row" },
      el("span", { className: "bot" }, swatch(index), row.bot),
      el("span", { className: "condition" },
        el("span", { className: row.name }, el("i", { "aria-hidden": "true" }, row.shape), row.name),
        ", ",
        el("span", { id: `heard-${row.key}` }),
      ),
    ),
    el("td", { className: "num" }, money(worth), el("br"), row.series ? gainPercent(row.series.change_pct) : ""),
    el("td", { className: "num" }, count(row.closed), el("br"), el("span", { className: "dim" }, `${row.open} open`)),
  );
}
