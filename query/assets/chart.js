// The chart of a region's windows: the band from minimum to maximum, and the
// average. A window without readings is a gap; one between two gaps, which no
// line leads to, has a mark of its own.

import { element } from "./format.js";

/** How large the marks are, in pixels of the page. */
const POINT_SIZE = 5;
const SPAN_WIDTH = 2;
/** The series that is drawn before the marks: the second edge of the band. */
const MAXIMUM = 2;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const text = (_plot, value) => (value == null ? "–" : `${value.toFixed(2)} °C`);

/** Ticks as in RFC 3339: the time of day, or the day; below it, where that
 * changes and at the first, the day, or the year. */
function ticks(_plot, splits, _axis, _space, incr) {
  let last = null;
  return splits.map((seconds) => {
    const iso = new Date(seconds * 1000).toISOString();
    const [small, large] = incr < 86_400
      ? [iso.slice(11, 16), iso.slice(0, 10)]
      : [iso.slice(5, 10), iso.slice(0, 4)];
    const tick = large === last ? small : `${small}\n${large}`;
    last = large;
    return tick;
  });
}

/** The places in `values` of what is known where neither neighbour is. */
export function alone(values) {
  const isKnown = (index) => values[index] != null;
  const places = [...values.keys()];
  return places.filter((index) => isKnown(index) && !isKnown(index - 1) && !isKnown(index + 1));
}

/** The points of a series: all, if they have room, or those that stand alone. */
function points(fill) {
  const filter = (plot, series, isShowingAll) => (isShowingAll ? null : alone(plot.data[series]));
  return { size: POINT_SIZE, width: 0, fill, filter };
}

/** Draws a line from minimum to maximum where a window stands alone: the band
 * takes two. */
function drawSpans(plot) {
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

/** The x of each window is its begin. */
function columns(windows) {
  return [
    windows.map((window) => Date.parse(window.from) / 1000),
    windows.map((window) => window.min_c),
    windows.map((window) => window.max_c),
    windows.map((window) => window.average_c),
  ];
}

/** A chart in `parent` that is as wide as it. */
export class Chart {
  constructor(parent) {
    this.parent = parent;
    this.windows = [];
    this.resized = new ResizeObserver(() => this.plot?.setSize(this.size()));
    this.resized.observe(parent);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => this.draw(this.windows, true);
    this.scheme.addEventListener("change", this.recolour);
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.recolour);
    this.plot?.destroy();
  }

  size() {
    return { width: Math.max(240, this.parent.clientWidth), height: 300 };
  }

  draw(windows, anew = false) {
    this.windows = windows;
    if (this.plot && !anew) {
      this.plot.setData(columns(windows));
      return;
    }
    this.plot?.destroy();
    this.parent.replaceChildren();
    const axis = {
      stroke: colour("--quiet"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
    };
    const accent = colour("--accent");
    const edge = { stroke: colour("--band"), width: 1, points: { show: false }, value: text };
    this.plot = new uPlot({
      ...this.size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      axes: [{ ...axis, values: ticks }, { ...axis, size: 64, values: (_plot, ticks) => ticks.map((t) => `${t} °C`) }],
      series: [
        { label: "Begin", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
        { ...edge, label: "Minimum" },
        { ...edge, label: "Maximum" },
        { label: "Average", stroke: accent, width: 2, points: points(accent), value: text },
      ],
      hooks: { drawSeries: [(plot, series) => series === MAXIMUM && drawSpans(plot)] },
      bands: [{ series: [2, 1], fill: colour("--band") }],
    }, columns(windows), this.parent);
  }

  clear(words) {
    this.plot?.destroy();
    this.plot = null;
    this.parent.replaceChildren(element("p", { className: "quiet", textContent: words }));
  }
}
