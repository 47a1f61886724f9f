/** Building the page. Text goes in as text, never as markup. */

import { absolute, money, NOTHING, sign } from "/static/format.js";

export const byId = (id) => document.getElementById(id);

/** An element. `properties` are DOM properties (`className`, `title`) or, with a dash or `role`, attributes. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set text only when it changed, so that selections and the screen reader are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A gain or a loss: shape, sign and colour say the same. */
export function gain(text, percent = null) {
  const direction = sign(text);
  const name = ["loss", "even", "gain"][direction + 1];
  const shape = ["▼", null, "▲"][direction + 1];
  const words = direction === 0 ? money("0") : `${direction < 0 ? "−" : "+"}${money(absolute(text))}`;
  const share = percent === null ? "" : ` (${direction < 0 ? "−" : "+"}${absolute(percent)} %)`;
  if (text === null || text === undefined) return el("span", { className: "even" }, NOTHING);
  const mark = shape && el("i", { "aria-hidden": "true" }, shape);
  return el("span", { className: `change ${name}` }, mark, `${words}${share}`);
}

/** A gain or a loss in percent of what there was. */
export function gainPercent(percent) {
  if (percent === null) return el("span", { className: "even" }, NOTHING);
  const up = sign(percent) >= 0;
  const shape = el("i", { "aria-hidden": "true" }, up ? "▲" : "▼");
  return el("span", { className: `change ${up ? "gain" : "loss"}` }, shape, `${up ? "+" : "−"}${absolute(percent)} %`);
}

/** The line that stands for a bot in the chart. */
export function swatch(index) {
  return el("span", { className: `swatch series-${(index % 8) + 1}`, "aria-hidden": "true" });
}

const SHOWN = new WeakMap();
const MOST_FRESH = 8;

/**
 * Show `items` as children of `parent`, in order. A child is built again only when its version changed, so that what is
 * selected, focused or opened stays so. New children are marked `fresh`, unless there are so many that all would be.
 */
export function keyed(parent, items, key, version, build) {
  const before = SHOWN.get(parent) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const name = key(item);
    const known = before.get(name);
    if (known?.version === version(item)) {
      after.set(name, known);
      continue;
    }
    after.set(name, { version: version(item), element: build(item) });
  }
  const fresh = [...after].filter(([name]) => !before.has(name));
  if (before.size > 0 && fresh.length <= MOST_FRESH) fresh.forEach(([, { element }]) => element.classList.add("fresh"));
  const wanted = [...after.values()].map((row) => row.element);
  SHOWN.set(parent, after);
  arrange(parent, before, wanted);
}

function arrange(parent, before, wanted) {
  const kept = new Set(wanted);
  for (const { element } of before.values()) if (!kept.has(element)) element.remove();
  let next = null;
  for (const element of wanted.toReversed()) {
    if (element.parentNode !== parent || element.nextSibling !== next) parent.insertBefore(element, next);
    next = element;
  }
}
