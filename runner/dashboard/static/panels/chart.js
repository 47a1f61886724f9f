/** A line chart that follows the theme and the width of its place. Drag to zoom; arrow keys move the cursor. */

import { money, tick } from "/static/format.js";
import { colour } from "/static/theme.js";
import uPlot from "/static/vendor/uPlot.esm.js";

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const TALL = 300;
const SHORT = 220;
const NARROW = 560;
const LABEL_GAP = 14;

/** Columns for uPlot: all times, then the values of each line at them (null where it has none). */
export function align(lines) {
  const times = [...new Set(lines.flatMap((points) => points.map(([time]) => time)))].sort((a, b) => a - b);
  const place = new Map(times.map((time, index) => [time, index]));
  const columns = lines.map((points) => {
    const values = new Array(times.length).fill(null);
    for (const [time, value] of points) values[place.get(time)] = value;
    return values;
  });
  return [times, ...columns];
}

export class Chart {
  /** `onCursor(index or null)`, `onZoom(zoomed)`. */
  constructor(place, { onCursor, onZoom }) {
    this.place = place;
    this.onCursor = onCursor;
    this.onZoom = onZoom;
    this.zoomed = false;
    this.plot = null;
    this.drawn = "";
    new ResizeObserver(() => this.fit()).observe(place);
    place.addEventListener("keydown", (event) => this.move(event));
    place.addEventListener("dblclick", () => this.showWhole());
    place.addEventListener("blur", () => this.plot?.setCursor({ left: -10, top: -10 }));
  }

  /** A zoom stays as it is while news come in. `lines`: `{run, label, colour}` with the number of the colour; `table` from `align`. */
  draw(lines, table, theme) {
    const wanted = JSON.stringify([lines, theme, this.isNarrow()]);
    if (wanted !== this.drawn) this.build(lines, table);
    else this.plot.setData(table, !this.zoomed);
    if (this.zoomed) this.plot.redraw();
    this.drawn = wanted;
  }

  showWhole() {
    this.plot?.setData(this.plot.data);
    this.setZoomed(false);
  }

  build(lines, table) {
    this.plot?.destroy();
    this.lines = lines;
    this.setZoomed(false);
    this.plot = new uPlot(this.options(lines), table, this.place);
  }

  options(lines) {
    return {
      ...this.size(),
      padding: [10, this.isNarrow() ? 8 : this.labelWidth(lines), 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7, width: 2, fill: colour("surface") }, drag: { x: true, y: false } },
      scales: { x: { time: true } },
      axes: [this.timeAxis(), this.valueAxis()],
      series: [{}, ...lines.map((line) => this.lineOptions(line))],
      hooks: {
        draw: [(plot) => this.drawBaseline(plot), (plot) => this.drawLabels(plot)],
        setCursor: [(plot) => this.onCursor(plot.cursor.idx ?? null)],
        setSelect: [(plot) => this.setZoomed(plot.select.width > 0)],
      },
    };
  }

  lineOptions(line) {
    return {
      label: line.label,
      stroke: () => this.colourOf(line),
      width: 1.75,
      spanGaps: true,
      points: { show: false },
    };
  }

  timeAxis() {
    return {
      font: FONT,
      stroke: () => colour("dim"),
      grid: { show: false },
      ticks: { stroke: () => colour("line"), width: 1, size: 4 },
      gap: 6,
      size: 32,
      space: this.isNarrow() ? 64 : 80,
      values: (plot, ticks, axis, space, step) => ticks.map((seconds) => tick(seconds, step)),
    };
  }

  valueAxis() {
    return {
      font: FONT,
      stroke: () => colour("dim"),
      grid: { stroke: () => colour("line"), width: 1 },
      ticks: { show: false },
      gap: 8,
      space: 44,
      size: (plot, texts) => 16 + Math.max(28, ...(texts ?? []).map((text) => text.length * 6.6)),
      values: (plot, ticks) => ticks.map((value) => money(value).replace(/\.00$/, "")),
    };
  }

  /** A thin line at what all runs began with, if they began with the same. */
  drawBaseline(plot) {
    const firsts = new Set(plot.data.slice(1).map((values) => values.find((value) => value !== null)));
    if (firsts.size !== 1) return;
    const y = Math.round(plot.valToPos([...firsts][0], "y", true)) + 0.5;
    const { left, width, top, height } = plot.bbox;
    if (y < top || y > top + height) return;
    this.stroke(plot.ctx, colour("dim"), [2, 4], [left, y], [left + width, y]);
  }

  stroke(context, style, dash, from, to) {
    context.save();
    context.strokeStyle = style;
    context.lineWidth = devicePixelRatio;
    context.setLineDash(dash.map((length) => length * devicePixelRatio));
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    context.restore();
  }

  /** The name of each line at its end, pushed apart where they would touch. */
  drawLabels(plot) {
    if (this.isNarrow()) return;
    const gap = LABEL_GAP * devicePixelRatio;
    const labels = this.lines
      .map((line, index) => ({ line, y: this.endOf(plot, index + 1) }))
      .filter((label) => label.y !== null)
      .sort((a, b) => a.y - b.y);
    labels.forEach((label, index) => {
      if (index > 0) label.y = Math.max(label.y, labels[index - 1].y + gap);
    });
    plot.ctx.save();
    plot.ctx.font = FONT.replace(/^\d+/, (size) => size * devicePixelRatio);
    plot.ctx.textBaseline = "middle";
    plot.ctx.textAlign = "left";
    for (const { line, y } of labels) {
      plot.ctx.fillStyle = this.colourOf(line);
      plot.ctx.fillText(line.label, plot.bbox.left + plot.bbox.width + 8 * devicePixelRatio, y);
    }
    plot.ctx.restore();
  }

  /** Where the visible part of a line ends: its height in canvas pixels, or null outside the plot. */
  endOf(plot, series) {
    const visible = plot.data[series].slice(0, plot.series[0].idxs[1] + 1);
    const value = visible.findLast((one) => one !== null);
    const y = value === undefined ? null : plot.valToPos(value, "y", true);
    return y !== null && y >= plot.bbox.top && y <= plot.bbox.top + plot.bbox.height ? y : null;
  }

  move(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (steps === undefined || this.plot === null) return;
    event.preventDefault();
    const times = this.plot.data[0];
    const start = this.plot.cursor.idx ?? times.length;
    const index = Math.min(times.length - 1, Math.max(0, start + steps * (event.shiftKey ? 20 : 1)));
    this.plot.setCursor({ left: this.plot.valToPos(times[index], "x"), top: 0 });
  }

  setZoomed(zoomed) {
    this.zoomed = zoomed;
    this.onZoom(zoomed);
  }

  fit() {
    if (this.plot !== null && this.place.clientWidth > 0) this.plot.setSize(this.size());
  }

  size() {
    return { width: this.place.clientWidth, height: this.isNarrow() ? SHORT : TALL };
  }

  isNarrow() {
    return this.place.clientWidth < NARROW;
  }

  labelWidth(lines) {
    return 16 + Math.max(...lines.map((line) => line.label.length)) * 6.4;
  }

  colourOf(line) {
    return colour(`series-${(line.colour % 8) + 1}`);
  }
}
