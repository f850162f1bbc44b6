// The card of a region: the average of its newest hour, a sparkline, and how fresh
// it is.

import { get, isAddressable, now, ofRegion } from "./api.js";
import { alone } from "./chart.js";
import { celsius, counted, element, HOUR, markFreshness, setText } from "./format.js";

const SPARK_HOURS = 24;
const SVG = "http://www.w3.org/2000/svg";

/** The path of the hours up to the newest reading. */
function hoursUpTo(region) {
  const to = (Math.floor(Date.parse(region.newest) / HOUR) + 1) * HOUR;
  const from = Math.max(0, to - SPARK_HOURS * HOUR);
  return ofRegion(region.region, "/windows", { from, to, step: "1h" });
}

/** The sparkline of averages as two paths: the lines between neighbours, and the
 * dots of those that have none. */
function spark(averages) {
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
function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** A region in the list. What fails for it leaves the others alone. */
export class Card {
  constructor(name) {
    this.name = name;
    /** What the list says of it. */
    this.region = null;
    /** The average of its newest hour, and the revision that this is of. */
    this.current = null;
    this.revision = null;
    this.isVisible = false;
    this.isAsked = false;
    this.hasFailed = false;
    this.build();
  }

  build() {
    this.average = element("span", { className: "average", textContent: "…" });
    this.what = element("span", { className: "what", textContent: "loading" });
    this.fresh = element("span", { className: "fresh" });
    this.line = drawn("path", {});
    this.dots = drawn("path", { class: "alone" });
    const svg = drawn("svg", {
      class: "spark", viewBox: "0 0 100 32", preserveAspectRatio: "none", "aria-hidden": "true",
    });
    svg.append(this.line, this.dots);
    const href = `#/region/${encodeURIComponent(this.name)}`;
    const link = element("a", isAddressable(this.name) ? { href } : {},
      element("span", { className: "name", textContent: this.name }),
      this.average, this.what, svg, this.fresh);
    this.node = element("li", {}, link);
    this.node.dataset.region = this.name;
  }

  /** When its newest reading was measured. */
  get newest() {
    return this.region.newest == null ? -Infinity : Date.parse(this.region.newest);
  }

  /** Whether to ask for its hours: they have changed, and since the last list it
   * has not failed. */
  get isDue() {
    return this.region.newest != null && this.revision !== this.region.revision
      && !this.isAsked && !this.hasFailed;
  }

  /** Whether it has an average that is not known here. */
  get isUnknown() {
    return this.region.newest != null && this.current == null;
  }

  /** Takes what a new list says of the region. */
  update(region) {
    this.region = region;
    this.hasFailed = false;
  }

  tick() {
    markFreshness(this.fresh, this.region.newest, now());
    if (this.region.newest == null) this.showHours([]);
  }

  /** Asks for the hours, and shows them, or why there are none. */
  async draw() {
    const { revision } = this.region;
    this.isAsked = true;
    try {
      const { windows } = await get(hoursUpTo(this.region));
      this.revision = revision;
      this.showHours(windows);
    } catch (error) {
      this.showFailure(error);
    }
    this.isAsked = false;
  }

  showHours(windows) {
    const hour = windows.findLast((window) => window.count > 0);
    this.current = hour?.average_c ?? null;
    setText(this.average, celsius(this.current));
    const devices = hour?.devices == null ? "" : ` · ${counted(hour.devices, "device", "devices")}`;
    this.say(hour ? `${hour.from.slice(0, 13).replace("T", " ")} h${devices}` : "no counted reading");
    const [line, dots] = spark(windows.map((window) => window.average_c));
    this.line.setAttribute("d", line);
    this.dots.setAttribute("d", dots);
  }

  /** Says what failed, and keeps what is shown. */
  showFailure(error) {
    // Without a status, it is not the service's failure but a mistake here.
    if (error.status === undefined) console.error(error);
    this.hasFailed = true;
    setText(this.average, celsius(this.current));
    this.say(`No answer: ${error.message}`, true);
  }

  say(words, isFailure = false) {
    setText(this.what, words);
    this.what.classList.toggle("failed", isFailure);
  }
}
