// A sparkline: a small drawing of averages.

import { alone } from "./chart.js";

const SVG = "http://www.w3.org/2000/svg";

/** The sparkline of averages as two paths: the lines between neighbours, and the
 * dots of those that have none. */
export function spark(averages) {
  const known = averages.filter((value) => value != null);
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const at = (index) => {
    const x = (index * 100) / Math.max(1, averages.length - 1);
    const y = 28 - (24 * (averages[index] - low)) / span;
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  };
  const to = (value, index) => (value == null ? "" : `${averages[index - 1] == null ? "M" : "L"}${at(index)}`);
  return [averages.map(to).join(""), alone(averages).map((index) => `M${at(index)}h.1`).join("")];
}

/** A new element of a drawing. */
export function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
