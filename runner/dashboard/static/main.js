/** The page: state, connection, panels, and one repaint a frame. */

import { byId } from "/static/dom.js";
import { startKeys } from "/static/keys.js";
import { alerts } from "/static/panels/alerts.js";
import { bots } from "/static/panels/bots.js";
import { decisions } from "/static/panels/decisions.js";
import { equity } from "/static/panels/equity.js";
import { positions } from "/static/panels/positions.js";
import { summary } from "/static/panels/summary.js";
import { tail } from "/static/panels/tail.js";
import { trades } from "/static/panels/trades.js";
import { State } from "/static/state.js";
import { Stream } from "/static/stream.js";
import { startTheme } from "/static/theme.js";

const SAID = { connecting: "connecting", live: "live", stale: "stale: nothing heard", reconnecting: "reconnecting" };

const state = new State();
const dirty = new Set();
let frame = null;

/** Panels whose topics were touched are painted in the next frame, never in the handler of an event. */
function touch(topics) {
  for (const topic of topics) dirty.add(topic);
  frame ??= requestAnimationFrame(paint);
}

function paint() {
  frame = null;
  const touched = new Set(dirty);
  dirty.clear();
  for (const panel of panels) {
    if (touched.has("all") || panel.topics.some((topic) => touched.has(topic))) panel.update();
  }
}

const panels = [summary, equity, positions, trades, bots, alerts, decisions, tail].map((panel) => panel(state, touch));

const stream = new Stream({
  onSnapshot: (snapshot) => touch(state.replace(snapshot)),
  onEvent: (name, data) => touch(state[`take${name[0].toUpperCase()}${name.slice(1)}`](data)),
  onState: (name) => {
    const connection = byId("connection");
    if (connection.dataset.state === name) return;
    connection.dataset.state = name;
    connection.querySelector(".connection-text").textContent = SAID[name];
  },
});

const toggleTheme = startTheme(byId("theme"), () => touch(["theme"]));
startKeys({
  t: toggleTheme,
  " ": () => byId("tail-pause").click(),
  "/": () => byId("tail-filter").focus(),
});
setInterval(() => touch(["time"]), 1000);
stream.start();
