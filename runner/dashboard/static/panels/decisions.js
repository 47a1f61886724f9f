/** Signals that did not become trades, and why. */

import { showNotes } from "/static/panels/notes.js";

const SHOWN = 50;
const MARKS = { vetoed: "✕", near: "≈", skipped: "–" };

export function decisions(state) {
  return {
    topics: ["live_cognitive"],
    update() {
      const rows = state.newest("live_cognitive").filter((row) => row.outcome !== "taken");
      showNotes("decisions", rows.slice(0, SHOWN), describe);
    },
  };
}

function describe(row) {
  const by = row.vetoed_by ? ` by ${row.vetoed_by.replaceAll("_", " ")}` : "";
  return {
    mark: MARKS[row.outcome] ?? "–",
    tone: row.outcome,
    title: `${row.symbol} ${row.outcome}${by}`,
    text: row.reason,
  };
}
