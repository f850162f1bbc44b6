// The times in which a region or a device was outside its limits: drawn into the
// chart, and as a table with what an auditor asks for.

import { allCsv, now, ofRegion } from "./api.js";
import { save } from "./download.js";
import { celsius, clock, count, counted, duration, element, moment, setText } from "./format.js";
import { button } from "./rangebar.js";
import { has } from "./routes.js";
import { numbers, replaceWith, table } from "./tables.js";
import { dateOf, zone } from "./zone.js";

const SIDES = { high: "above", low: "below" };
const COLUMNS = ["Begin", "End", "Outside for", "Extreme", ...["Readings", "Devices", "Gaps"].map(numbers), "Figures"];
const FIGURES = { reading: "exact", minute: "by the minute" };

/** How long an excursion took; of one that goes on, so far. */
const length = ({ begin, end, duration_ms }) => duration_ms ?? Math.max(0, (end ? Date.parse(end) : now()) - Date.parse(begin));

/** How many gaps there are, and how long the longest is. */
const gapsOf = ({ gaps, longest_gap_ms: longest }) => (gaps > 0 && longest ? `${count(gaps)}, longest ${duration(longest)}` : count(gaps));

/** Whether a region has limits of which there can be excursions. */
export const isLimited = (limits) => limits?.low_c != null || limits?.high_c != null;

const signed = (value) => (value == null ? "none" : `${value} °C`);

/** The limits in words. */
export function limitsInWords({ low_c, high_c, for: least }) {
  if (low_c == null && high_c == null) return "No limits are set.";
  const range = low_c == null ? `up to ${signed(high_c)}` : high_c == null ? `from ${signed(low_c)}` : `from ${signed(low_c)} to ${signed(high_c)}`;
  return `Within limits is ${range}${least ? `; outside for ${least} or longer is an excursion` : ""}.`;
}

/** The spans of a chart. One that goes on ends where the node's clock is. */
export function spansOfExcursions(excursions) {
  return (excursions ?? []).map(({ begin, end }) =>
    ({ kind: "outside", from: Date.parse(begin), to: end ? Date.parse(end) : now() }));
}

/** How often and how long, in words. */
export function excursionsInWords(excursions) {
  if (excursions.length === 0) return "No excursion in this time";
  const lengths = excursions.map(length);
  const sum = lengths.reduce((all, one) => all + one, 0);
  const isOpen = excursions.some(({ end }) => end == null);
  return [
    counted(excursions.length, "excursion", "excursions"), `outside for ${duration(sum)} in all`,
    ...(excursions.length > 1 ? [`the longest ${duration(Math.max(...lengths))}`] : []),
    ...(isOpen ? ["one goes on"] : []),
  ].join(" · ");
}

/** The part of a view about excursions. `path` gives the service's path for a time. */
export class Excursions {
  constructor(title, path, region = null) {
    this.path = path;
    this.region = region;
    this.words = element("p", { className: "quiet" });
    this.list = element("div");
    this.report = element("a", { textContent: "Print view", hidden: true });
    this.csv = button("Excursions as CSV", () => this.download(title));
    this.node = element("section", { hidden: true }, element("h2", { textContent: "Excursions" }), this.words, this.list,
      element("p", { className: "row" }, this.csv, this.report));
  }

  show(answer, limits, { begin, end }) {
    this.node.hidden = !answer;
    if (!answer) return;
    this.time = { from: begin, to: Math.min(end, now()) };
    const { excursions = [], problem } = answer;
    if (problem) limits = null;
    setText(this.words, problem ?? `${isLimited(limits) ? `${excursionsInWords(excursions)}. ` : ""}${limits ? limitsInWords(limits) : ""}`);
    this.words.classList.toggle("failed", excursions.some((one) => one.end == null));
    const rows = excursions.map((one) => [
      moment(one.begin), one.end ? moment(one.end) : "goes on", duration(length(one)),
      [SIDES[one.kind], celsius(one.extreme_c), one.extreme_at && `at ${clock(one.extreme_at, Date.parse(one.begin))}`, one.extreme_device]
        .filter(Boolean).join(" "),
      count(one.readings), count(one.devices), gapsOf(one), FIGURES[one.resolution],
    ]);
      if (rows.length > 0) replaceWith(this.list, table("Excursions in the time shown", COLUMNS, rows));
    else this.list.replaceChildren();
    this.csv.hidden = rows.length === 0;
    this.report.hidden = this.region === null || !isLimited(limits);
    if (!this.report.hidden) this.link();
  }

  /** The print view is a page of its own, of whole days. */
  link() {
    const days = { from: dateOf(this.time.from), to: dateOf(this.time.to - 1) };
    this.report.href = `assets/report.html#${new URLSearchParams({ region: this.region, ...days, zone: zone() })}`;
  }

  async download(title) {
    save(await allCsv(this.path(this.time)), `${title}-excursions.csv`);
  }
}

/** What a region's view asks for, where the node has it. No path is made before it is
 * asked for: a name that no URL can have fails then, and not the view. */
export function pathsOfExcursions(name) {
  return {
    excursions: has("/v1/regions/{region}/excursions") ? (time) => ofRegion(name, "/excursions", time) : null,
    limits: has("/v1/regions/{region}/limits") ? () => ofRegion(name, "/limits") : null,
  };
}
