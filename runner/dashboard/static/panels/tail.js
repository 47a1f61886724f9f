/** The journal as it is written: filter, pause, and every record to unfold. */

import { byId, el, keyed, setText } from "/static/dom.js";
import { clock, count } from "/static/format.js";
import { isRoutine, say } from "/static/records.js";

const SHOWN = 500;
const GROUPS = {
  "": ["Without routine", (record) => !isRoutine(record.kind)],
  all: ["All kinds", () => true],
  trading: ["Trading", (record) => /^(trade|order|fill|position)/.test(record.kind)],
  decisions: ["Decisions", (record) => /^(decision|reflection)/.test(record.kind)],
  problems: ["Warnings and errors", (record) => ["WARNING", "ERROR", "CRITICAL"].includes(record.severity)],
};

export function tail(state, touch) {
  const view = { paused: null, kind: byId("tail-kind"), text: byId("tail-filter") };
  const again = () => touch(["records"]);
  view.kind.append(...Object.entries(GROUPS).map(([value, [name]]) => el("option", { value }, name)));
  view.kind.addEventListener("change", again);
  view.text.addEventListener("input", again);
  view.text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave(view.text, again);
  });
  byId("tail-pause").addEventListener("click", () => {
    view.paused = view.paused === null ? { records: [...state.records], read: state.counts.records } : null;
    again();
  });
  return { topics: ["records", "counts"], update: () => update(state, view) };
}

function leave(input, again) {
  input.value = "";
  input.blur();
  again();
}

function update(state, view) {
  const records = view.paused?.records ?? state.records;
  const shown = records.filter(filter(view)).slice(-SHOWN).reverse();
  byId("tail").hidden = shown.length === 0;
  byId("tail-empty").hidden = shown.length > 0;
  if (state.records.length > 0) setText(byId("tail-empty"), `None of the newest ${count(records.length)} records match.`);
  showPause(state, view);
  showCounts(state, view, shown);
  keyed(byId("tail"), shown, (record) => record.id, () => 0, build);
}

function filter(view) {
  const wanted = view.text.value.trim().toLowerCase();
  const [, ofKind] = GROUPS[view.kind.value];
  return (record) => ofKind(record) && (wanted === "" || searchable(record).includes(wanted));
}

const searchable = (record) => `${record.kind} ${record.bot} ${record.severity ?? ""} ${say(record)}`.toLowerCase();

function showPause(state, view) {
  const button = byId("tail-pause");
  button.setAttribute("aria-pressed", String(view.paused !== null));
  const waiting = view.paused === null ? 0 : state.counts.records - view.paused.read;
  setText(button.querySelector(".pause-name"), view.paused === null ? "Pause" : `Resume, ${count(waiting)} new`);
}

function showCounts(state, view, shown) {
  const thinned = state.thinned > 0 ? `, ${count(state.thinned)} too fast to show` : "";
  setText(byId("tail-aside"), state.counts.records > 0 ? `${count(shown.length)} shown of ${count(state.counts.records)}${thinned}` : "");
}

function build(record) {
  const severity = (record.severity ?? "INFO").toLowerCase();
  const details = el("details", { className: `record ${severity}` },
    el("summary", {},
      el("time", { dateTime: record.ts }, clock(record.ts)),
      el("span", { className: "kind" }, record.kind.replaceAll("_", " ")),
      el("span", { className: "who" }, record.bot ?? ""),
      el("span", { className: "said" }, say(record)),
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(el("pre", {}, JSON.stringify(record, null, 2)));
  });
  return details;
}
