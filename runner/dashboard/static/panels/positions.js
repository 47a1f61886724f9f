/** What the bots hold now, marked to market, and where the price stands between stop and target. */

import { byId, el, gain, keyed, setText, svg, swatch } from "/static/dom.js";
import { absolute, count, moment, price, quantity, sign } from "/static/format.js";

const WIDTH = 92;
const HEIGHT = 12;

export function positions(state) {
  return {
    topics: ["live_positions", "equity"],
    update() {
      const names = state.botNames();
      const rows = state.openPositions().sort((a, b) => (a.key < b.key ? -1 : 1));
      byId("positions").hidden = rows.length === 0;
      byId("positions-empty").hidden = rows.length > 0;
      setText(byId("positions-aside"), rows.length > 0 ? count(rows.length) : "");
      keyed(byId("positions").tBodies[0], rows, (row) => row.key, (row) => row.record_id, (row) => build(row, names.indexOf(row.bot)));
    },
  };
}

function build(row, index) {
  const long = sign(row.quantity) > 0;
  return el("tr", {},
    el("th", { scope: "row" }, row.symbol),
    el("td", {}, el("span", { className: "bot" }, swatch(index), row.bot)),
    el("td", { className: "wide-only" }, long ? "Long" : "Short"),
    el("td", { className: "num" }, quantity(absolute(row.quantity))),
    el("td", { className: "num wide-only" }, price(row.entry_price)),
    el("td", { className: "num" }, price(row.market_price)),
    el("td", { className: "num" }, gain(row.unrealized_pnl)),
    el("td", { className: "roomy-only" }, meter(row)),
    el("td", { className: "num dim wide-only" }, moment(row.opened_at)),
  );
}

/** A line from stop to target with a tick at the entry and a dot at the market price. */
function meter(row) {
  if (row.stop_loss == null || row.target == null) return el("span", { className: "dim" }, "none set");
  const [stop, target] = [Number(row.stop_loss), Number(row.target)];
  const place = (value) => 4 + Math.min(1, Math.max(0, (Number(value) - stop) / (target - stop))) * (WIDTH - 8);
  const said = `stop ${price(row.stop_loss)}, target ${price(row.target)}`;
  const middle = HEIGHT / 2;
  const [entry, market] = [place(row.entry_price), place(row.market_price)];
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: "meter", role: "img", "aria-label": said },
    svg("line", { x1: 4, x2: WIDTH - 4, y1: middle, y2: middle, class: "meter-line" }),
    svg("line", { x1: entry, x2: market, y1: middle, y2: middle, class: `meter-way ${sign(row.unrealized_pnl) < 0 ? "loss" : "gain"}` }),
    svg("line", { x1: entry, x2: entry, y1: 2, y2: HEIGHT - 2, class: "meter-entry" }),
    svg("circle", { cx: market, cy: middle, r: 3.5, class: `meter-dot ${sign(row.unrealized_pnl) < 0 ? "loss" : "gain"}` }),
  );
}
