/** A list of short messages, each with a mark, a text, its bot and its time. */

import { byId, el, keyed, setText } from "/static/dom.js";
import { clock, count } from "/static/format.js";

/** `note(row)` gives `{mark, tone, title, text}`. The list, its aside and its empty text are found by `name`. */
export function showNotes(name, rows, note) {
  byId(name).hidden = rows.length === 0;
  byId(`${name}-empty`).hidden = rows.length > 0;
  setText(byId(`${name}-aside`), rows.length > 0 ? `newest ${count(rows.length)}` : "");
  keyed(byId(name), rows, (row) => row.key, (row) => row.record_id, (row) => build(row, note(row)));
}

function build(row, { mark, tone, title, text }) {
  return el("li", {},
    el("i", { className: `mark ${tone}`, "aria-hidden": "true" }, mark),
    el("div", {},
      el("p", { className: "note-title" },
        el("span", {}, el("b", {}, title), " ", el("span", { className: "dim" }, row.bot ?? "")),
        el("time", { className: "dim", dateTime: row.ts ?? "" }, clock(row.ts)),
      ),
      el("p", { className: "note-text" }, text),
    ),
  );
}
