// What is drawn into a chart besides its lines: spans of time, limits, and marks of
// windows that have readings of a kind.

import { colour } from "./colours.js";

const MARK_SIZE = 4;
/** The kinds of marks, each in a row of its own at the top of the chart. */
export const MARKS = {
  late: { sign: "▲", words: "late", colour: "--late", path: [[0, -1], [1, 1], [-1, 1]] },
  conflicts: { sign: "✖", words: "contradicting", colour: "--bad", path: [[-1, -1], [1, 1], [0, 0], [1, -1], [-1, 1], [0, 0]] },
  corrected: { sign: "◆", words: "corrected", colour: "--c3", path: [[0, -1], [1, 0], [0, 1], [-1, 0]] },
};

/** Within the plot's own area, in pixels of the canvas. */
function inside(plot, draw) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx, bbox, uPlot.pxRatio);
  ctx.restore();
}

/** Fills the spans of time: excursions and gaps. At least a pixel of each is seen. */
export function spansOf(plot, { spans = [] }) {
  inside(plot, (ctx, bbox, ratio) => {
    for (const { from, to, kind } of spans) {
      const [left, right] = [from, to].map((ms) => plot.valToPos(ms / 1000, "x", true));
      const wide = Math.max(2 * ratio, right - left);
      ctx.fillStyle = colour(`--${kind}`);
      ctx.fillRect(left, bbox.top, wide, bbox.height);
      ctx.fillStyle = colour(`--${kind}-edge`);
      ctx.fillRect(left, bbox.top + bbox.height - 3 * ratio, wide, 3 * ratio);
    }
  });
}

/** Draws the limits as dashed lines with their value, and the marks. */
export function marksOf(plot, { limits, marks = [] }) {
  inside(plot, (ctx, bbox, ratio) => {
    for (const [value, isHigh] of [[limits?.high_c, true], [limits?.low_c, false]]) {
      if (value == null) continue;
      // A line of an odd width is sharp between two pixels.
      const y = Math.round(plot.valToPos(value, "y", true)) + (ratio % 2) / 2;
      ctx.strokeStyle = ctx.fillStyle = colour("--bad");
      ctx.lineWidth = ratio;
      ctx.setLineDash([6 * ratio, 4 * ratio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.font = `${12 * ratio}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      ctx.textBaseline = isHigh ? "bottom" : "top";
      ctx.fillText(`${isHigh ? "high" : "low"} ${value} °C`, bbox.left + 6 * ratio, y + (isHigh ? -2 : 2) * ratio);
    }
    const kinds = Object.keys(MARKS);
    for (const { at, kind } of marks) {
      const { path, colour: name } = MARKS[kind];
      const x = plot.valToPos(at / 1000, "x", true);
      const y = bbox.top + (8 + 12 * kinds.indexOf(kind)) * ratio;
      ctx.beginPath();
      path.forEach(([right, down], index) => {
        ctx[index ? "lineTo" : "moveTo"](x + right * MARK_SIZE * ratio, y + down * MARK_SIZE * ratio);
      });
      ctx.closePath();
      ctx.fillStyle = ctx.strokeStyle = colour(name);
      ctx.lineWidth = 1.5 * ratio;
      if (kind === "conflicts") ctx.stroke();
      else ctx.fill();
    }
  });
}

/** The marks of windows, and how many readings each kind has. */
export function marksOfWindows(windows) {
  const marks = [];
  const totals = {};
  for (const window of windows) {
    for (const kind of Object.keys(MARKS)) {
      if (!(window[kind] > 0)) continue;
      totals[kind] = (totals[kind] ?? 0) + window[kind];
      marks.push({ kind, at: (Date.parse(window.from) + Date.parse(window.to)) / 2 });
    }
  }
  return { marks, totals };
}
