// A chart of lines over a time: with the band from minimum to maximum, limits, spans
// of time that matter, and marks. A value without a neighbour has a mark of its own.
// Who drags over a time, zooms into it.

import { COLOURS, colour } from "./colours.js";
import { marksOf, spansOf } from "./drawn.js";
import { element } from "./format.js";
import { fields, zone } from "./zone.js";

/** How large the points are, in pixels of the page. */
const POINT_SIZE = 5;
const ONLY_POINT_SIZE = 9;
const SPAN_WIDTH = 2;
/** The series that is drawn before the points: the second edge of the band. */
const MAXIMUM = 2;
/** The least that the axis of temperatures spans, in degrees. */
const LEAST_SPAN = 1;
/** A drag over fewer pixels is a click. */
const LEAST_DRAG = 8;

const text = (_plot, value) => (value == null ? "–" : `${value.toFixed(2)} °C`);

/** Ticks as in RFC 3339: the time of day, or the day; below it, where that
 * changes and at the first, the day, or the year. */
function ticks(_plot, splits, _axis, _space, incr) {
  let last = null;
  return splits.map((seconds) => {
    const { year, month, day, hour, minute, second } = fields(seconds * 1000);
    const time = incr < 60 ? `${hour}:${minute}:${second}` : `${hour}:${minute}`;
    const [small, large] = incr < 86_400 ? [time, `${year}-${month}-${day}`] : [`${month}-${day}`, year];
    const tick = large === last ? small : `${small}\n${large}`;
    last = large;
    return tick;
  });
}

function cursorTime(_plot, seconds) {
  if (seconds == null) return "–";
  const { year, month, day, hour, minute } = fields(seconds * 1000);
  return `${year}-${month}-${day} ${hour}:${minute}`;
}

/** The places in `values` of what is known where neither neighbour is. */
export function alone(values) {
  const isKnown = (index) => values[index] != null;
  const places = [...values.keys()];
  return places.filter((index) => isKnown(index) && !isKnown(index - 1) && !isKnown(index + 1));
}

/** The points of a series: all, if they have room, or those that stand alone. One that
 * is the only one is larger. */
function points(fill, values) {
  const isOnly = values.filter((value) => value != null).length === 1;
  const size = isOnly ? ONLY_POINT_SIZE : POINT_SIZE;
  const filter = (plot, series, isShowingAll) => (isShowingAll ? null : alone(plot.data[series]));
  return { size, width: 0, fill, filter };
}

/** Draws a line from minimum to maximum where a window stands alone: the band
 * takes two. */
function drawAlone(plot) {
  const [times, lows, highs] = plot.data;
  const { ctx, bbox } = plot;
  const width = SPAN_WIDTH * uPlot.pxRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - width, bbox.top, bbox.width + 2 * width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  for (const index of alone(lows)) {
    const x = Math.round(plot.valToPos(times[index], "x", true));
    ctx.moveTo(x, plot.valToPos(lows[index], "y", true));
    ctx.lineTo(x, plot.valToPos(highs[index], "y", true));
  }
  ctx.lineWidth = width;
  ctx.strokeStyle = colour("--accent");
  ctx.stroke();
  ctx.restore();
}

/** The range of the axis of temperatures: all values and limits, with some air. */
function spanOf(low, high, limits) {
  const known = [low, high, ...limits].filter((value) => value != null && Number.isFinite(value));
  if (known.length === 0) return [0, LEAST_SPAN];
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const missing = Math.max(0, LEAST_SPAN - (most - least)) / 2;
  const air = Math.max(LEAST_SPAN, most - least) * 0.08;
  return [least - missing - air, most + missing + air];
}

/**
 * What a chart shows: `from` and `to` in ms; `times` in ms; `lines`, each with its
 * `label`, `values` and the number of its `colour`, or none for the main one; perhaps
 * `band` with `low` and `high`; `limits` with `low_c` and `high_c`; `spans` and `marks`.
 */
function columns({ times, band, lines }) {
  const edges = band ? [band.low, band.high] : [];
  return [times.map((ms) => ms / 1000), ...edges, ...lines.map(({ values }) => values)];
}

/** A chart in `parent` that is as wide as it. `onZoom` gets the time that was dragged
 * over, in ms, or nothing for a double click. */
export class Chart {
  constructor(parent, onZoom = null) {
    this.parent = parent;
    this.onZoom = onZoom;
    this.model = null;
    this.resized = new ResizeObserver(() => this.plot?.setSize(this.size()));
    this.resized.observe(parent);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => this.model && this.draw(this.model, true);
    this.scheme.addEventListener("change", this.recolour);
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.recolour);
    this.plot?.destroy();
  }

  size() {
    const width = Math.max(240, this.parent.clientWidth);
    return { width, height: width < 500 ? 260 : 320 };
  }

  draw(model, anew = false) {
    this.model = model;
    const kind = [zone(), Boolean(model.band), ...model.lines.map(({ label }) => label)].join("\n");
    if (this.plot && !anew && kind === this.kind) {
      this.plot.setData(columns(model));
      return;
    }
    this.kind = kind;
    this.plot?.destroy();
    this.parent.replaceChildren();
    this.plot = new uPlot(this.options(model), columns(model), this.parent);
  }

  options(model) {
    const axis = {
      stroke: colour("--quiet"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
    };
    const name = zone() === "UTC" ? "Etc/UTC" : zone();
    return {
      ...this.size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), name),
      scales: {
        x: { range: () => [this.model.from / 1000, this.model.to / 1000] },
        y: { range: (_plot, low, high) => spanOf(low, high, [this.model.limits?.low_c, this.model.limits?.high_c]) },
      },
      axes: [{ ...axis, values: ticks }, { ...axis, size: 64, values: (_plot, all) => all.map((t) => `${t} °C`) }],
      series: [{ label: "Begin", value: cursorTime }, ...this.edges(model), ...model.lines.map((line) => this.series(line))],
      bands: model.band ? [{ series: [2, 1], fill: colour("--band") }] : [],
      cursor: { drag: { x: Boolean(this.onZoom), y: false, setScale: false }, bind: { dblclick: () => () => this.onZoom?.() } },
      hooks: {
        drawClear: [(plot) => spansOf(plot, this.model)],
        drawSeries: [(plot, series) => this.model.band && series === MAXIMUM && drawAlone(plot)],
        draw: [(plot) => marksOf(plot, this.model)],
        setSelect: [(plot) => this.dragged(plot)],
      },
    };
  }

  edges({ band }) {
    const edge = { stroke: colour("--band"), width: 1, points: { show: false }, value: text };
    return band ? [{ ...edge, label: "Minimum" }, { ...edge, label: "Maximum" }] : [];
  }

  /** A line of its own colour. Where there are more lines than colours, the next ones
   * are dashed. */
  series({ label, values, colour: number }) {
    const isMain = number === undefined;
    const stroke = colour(isMain ? "--accent" : `--c${number % COLOURS}`);
    const dash = !isMain && number >= COLOURS ? { dash: [6, 4] } : {};
    return { label, stroke, width: isMain ? 2 : 1.5, ...dash, points: points(stroke, values), value: text };
  }

  dragged(plot) {
    const { left, width } = plot.select;
    if (width === 0) return;
    const [from, to] = [left, left + width].map((x) => Math.round(plot.posToVal(x, "x") * 1000));
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (width >= LEAST_DRAG) this.onZoom?.({ from, to });
  }

  clear(words) {
    this.plot?.destroy();
    this.plot = null;
    this.parent.replaceChildren(element("p", { className: "quiet", textContent: words }));
  }
}
