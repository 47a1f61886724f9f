/** The newest trades: numbers in one line, the reasons in the next. */

import { byId, el, gain, keyed, setText, swatch } from "/static/dom.js";
import { count, duration, moment, price, quantity } from "/static/format.js";

const SHOWN = 50;
const COLUMNS = 9;

export function trades(state) {
  return {
    topics: ["live_trades", "equity"],
    update() {
      const names = state.botNames();
      const rows = state.newest("live_trades", SHOWN);
      byId("trades").hidden = rows.length === 0;
      byId("trades-empty").hidden = rows.length > 0;
      setText(byId("trades-aside"), rows.length > 0 ? `newest ${count(rows.length)}, P&L after fees` : "");
      keyed(byId("trades"), rows, (row) => row.key, (row) => row.record_id, (row) => build(row, names.indexOf(row.bot)));
    },
  };
}

/** A trade is a body of two rows, so that its reasons have the whole width and stay part of the table. */
function build(row, index) {
  const closed = row.status === "closed";
  return el("tbody", {},
    el("tr", {},
      el("th", { scope: "rowgroup" }, row.symbol),
      el("td", {}, el("span", { className: "bot" }, swatch(index), row.bot)),
      el("td", { className: "wide-only" }, (row.side ?? row.action) === "SELL" ? "Short" : "Long"),
      el("td", { className: "num wide-only" }, quantity(row.quantity)),
      el("td", { className: "num" }, price(row.entry_price)),
      el("td", { className: "num" }, closed ? price(row.exit_price) : el("span", { className: "tag" }, "open")),
      el("td", { className: "num" }, closed ? gain(row.net_profit_loss) : ""),
      el("td", { className: "num dim wide-only" }, closed ? duration(row.hold_duration_seconds) : ""),
      el("td", { className: "num dim wide-only" }, moment(row.exit_timestamp ?? row.timestamp)),
    ),
    el("tr", { className: "why" },
      el("td", { colSpan: COLUMNS }, reason("Entered", row.decision_reasoning), closed ? reason("Exited", row.exit_reasoning) : ""),
    ),
  );
}

const reason = (when, why) =>
  el("span", { className: "reason" }, el("b", {}, when), why || "no reason was recorded");
