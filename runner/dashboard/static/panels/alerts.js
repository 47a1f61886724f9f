/** Risk events, warnings, errors and audited actions, newest first. */

import { showNotes } from "/static/panels/notes.js";

const SHOWN = 50;
const MARKS = { CRITICAL: "■", ERROR: "■", WARNING: "▲", NOTICE: "●" };

export function alerts(state) {
  return {
    topics: ["live_alerts"],
    update: () => showNotes("alerts", state.newest("live_alerts", SHOWN), describe),
  };
}

function describe(row) {
  return {
    mark: MARKS[row.severity] ?? "●",
    tone: (row.severity ?? "info").toLowerCase(),
    title: spaced(row.event_type ?? row.type ?? row.action ?? row.kind),
    text: [row.symbol, row.message || row.reason || row.subject, row.action_taken && `→ ${spaced(row.action_taken)}`]
      .filter(Boolean)
      .join(" "),
  };
}

const spaced = (name) => String(name ?? "").replaceAll("_", " ");
