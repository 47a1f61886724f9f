/** The top of the page: whose money, halted or not, what it adds up to, and what cannot be read. */

import { byId, el, gain, setText } from "/static/dom.js";
import { count, money, NOTHING } from "/static/format.js";

export function summary(state) {
  return {
    topics: ["equity", "live_positions", "live_trades", "live_system_status", "counts", "troubles"],
    update() {
      showModes(state);
      showTotals(state);
      showCounts(state);
      showTroubles(state);
    },
  };
}

function showModes(state) {
  const traded = new Set(state.newest("live_trades").map((trade) => trade.execution_mode));
  const mode = traded.size > 0 ? [...traded].sort().join(" + ") : state.mode;
  setText(byId("mode"), mode.toUpperCase());
  byId("mode").dataset.mode = mode.includes("LIVE") ? "live" : "paper";
  const halted = [...state.newest("live_system_status")].filter((status) => status.halted).map((status) => status.bot);
  byId("halted").hidden = halted.length === 0;
  setText(byId("halted"), `Halted: ${halted.sort().join(", ")}`);
}

function showTotals(state) {
  const total = state.equity.current.length > 0 ? state.equity.total : null;
  const last = total ? total.last : saidByBots(state);
  setText(byId("total"), last ? money(last) : NOTHING);
  byId("change").replaceChildren(total ? gain(total.change, total.change_pct) : "");
  document.title = last ? `${money(last)} · tron-runner` : "tron-runner";
  const positions = state.openPositions();
  setText(byId("sum-positions"), count(positions.length));
  byId("sum-unrealised").replaceChildren(gain(sum(positions.map((position) => position.unrealized_pnl))));
}

/** What the bots say that they have, where the page has no records to draw curves from; null where none says it. */
function saidByBots(state) {
  const said = state.newest("live_system_status").map((status) => status.equity).filter(Boolean);
  return said.length > 0 ? sum(said) : null;
}

function showCounts(state) {
  const statuses = state.newest("live_system_status");
  setText(byId("sum-bots"), inWords(statuses));
  setText(byId("sum-trades"), count(statuses.reduce((all, status) => all + state.closedTrades(status), 0)));
  for (const name of ["warnings", "errors"]) {
    const element = byId(`sum-${name}`);
    const number = state.counts[name];
    element.classList.toggle(name, number > 0);
    setText(element, `${number > 0 ? { warnings: "▲ ", errors: "■ " }[name] : ""}${count(number)}`);
  }
  setText(byId("foot-records"), `${count(state.counts.records)} records read from the journal.`);
}

function inWords(statuses) {
  const halted = statuses.filter((status) => status.halted).length;
  const stopped = statuses.filter((status) => !status.halted && status.status === "stopped").length;
  const numbers = { running: statuses.length - halted - stopped, halted, stopped };
  const said = Object.entries(numbers).filter(([, number]) => number > 0);
  return said.map(([name, number]) => `${number} ${name}`).join(", ") || "none";
}

function showTroubles(state) {
  byId("troubles").hidden = state.troubles.length === 0;
  byId("troubles").replaceChildren(
    ...state.troubles.map(({ source, message, hint }) =>
      el("p", {}, el("strong", {}, `The ${source} cannot be read: `), message, hint ? ` – ${hint}` : ""),
    ),
  );
}

/** The exact sum of decimal strings. */
function sum(numbers) {
  const places = Math.max(0, ...numbers.map((number) => (number.split(".")[1] ?? "").length));
  const scaled = numbers.map((number) => {
    const [whole, fraction = ""] = number.replace("-", "").split(".");
    const value = BigInt(whole + fraction.padEnd(places, "0"));
    return number.startsWith("-") ? -value : value;
  });
  const all = scaled.reduce((a, b) => a + b, 0n);
  const digits = String(all < 0n ? -all : all).padStart(places + 1, "0");
  const cut = digits.length - places;
  return `${all < 0n ? "-" : ""}${digits.slice(0, cut)}.${digits.slice(cut)}`;
}
