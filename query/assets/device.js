// One device: its line, its latest reading, its gaps, what it measured, and how often
// it is expected to report.

import { allCsv, get, getAll, isAddressable, now, ofDevice, ofList, ofRegion, orProblem } from "./api.js";
import { Chart } from "./chart.js";
import { save } from "./download.js";
import { Excursions, isLimited, spansOfExcursions } from "./excursions.js";
import { correctable, correctionOf, daysOf } from "./extremes.js";
import { age, celsius, count, counted, DAY, duration, element, HOUR, instant, moment, sentence, setText } from "./format.js";
import { IntervalForm } from "./interval.js";
import { button, RangeBar } from "./rangebar.js";
import { automaticStep, chosenBy, STEPS, timeOf, usableSteps, wholeSteps } from "./ranges.js";
import { has, may } from "./routes.js";
import { numbers, regionLink, replaceWith, table, terms } from "./tables.js";
import { stepQuery } from "./windows.js";

const PATTERN = "/v1/devices/{device_id}";
/** How far apart the ends of a list of single readings may be. */
const READINGS_MS_MAX = 31 * DAY;
/** How many readings are listed at once, at least, and asked for at most. */
const READINGS_A_PAGE = 100;
const READINGS_MAX = 1000;

/** Single readings as windows: where a node keeps no windows of devices. */
function asWindows({ readings }) {
  const windows = readings.map(({ timestamp, temperature_c: value }) =>
    ({ from: timestamp, to: timestamp, count: 1, average_c: value, min_c: value, max_c: value }));
  return { windows };
}

/** The figures of windows. */
function sumUp(windows) {
  const filled = windows.filter((window) => window.count > 0);
  const readings = filled.reduce((sum, window) => sum + window.count, 0);
  const known = (value) => (readings > 0 ? value : null);
  return {
    count: readings,
    average_c: known(filled.reduce((sum, window) => sum + window.count * window.average_c, 0) / readings),
    min_c: known(Math.min(...filled.map((window) => window.min_c))),
    max_c: known(Math.max(...filled.map((window) => window.max_c))),
    unknown: windows.filter((window) => window.count === null).length,
  };
}

export class Device {
  constructor(main, name, query, refresh) {
    this.name = name;
    this.title = name;
    this.build(main, refresh);
    this.navigate(query);
  }

  build(main, refresh) {
    this.bar = new RangeBar(`#/device/${encodeURIComponent(this.name)}`,
      button("Download readings (CSV)", () => this.download()));
    this.now = element("p", { className: "now" });
    this.summary = element("p", { className: "quiet", textContent: "Loading" });
    this.extremes = element("div", { className: "part" });
    this.said = element("p", { className: "said failed" });
    this.said.setAttribute("role", "status");
    const chart = element("div");
    this.figure = element("figure", { className: "chart panel waiting" }, chart);
    this.chart = new Chart(chart, (time) => this.bar.zoom(time));
    this.facts = element("div");
    this.gaps = element("div");
    this.gapsPart = element("section", { hidden: true }, element("h2", { textContent: "Gaps" }), this.gaps);
    this.excursions = new Excursions(this.name, (time) => ofDevice(this.name, "/excursions", time));
    this.readings = element("details", { ontoggle: () => this.listReadings() },
      element("summary", { textContent: "The readings as a table" }));
    this.regions = element("div");
    this.interval = new IntervalForm(this.name, refresh);
    main.replaceChildren(
      element("p", {}, element("a", { href: has("/v1/devices") ? "#/devices" : "#/", textContent: has("/v1/devices") ? "All devices" : "All regions" })),
      element("h1", { textContent: this.name }), this.now, this.bar.node, this.summary, this.extremes, this.said, this.figure, this.readings,
      this.gapsPart, this.excursions.node, element("h2", { textContent: "The device" }), this.facts, this.interval.node,
      element("h2", { textContent: "Its regions" }), this.regions);
  }

  navigate(query) {
    this.chosen = chosenBy(query);
    this.bar.set(this.chosen);
    this.figure.classList.add("waiting");
  }

  close() {
    this.chart.close();
  }

  async load() {
    const device = await get(ofDevice(this.name));
    const time = timeOf(this.chosen, { oldest: device.first_seen, newest: device.newest });
    const usable = usableSteps(time.wide);
    const often = { count: device.count, devices: 1, oldest: device.first_seen, newest: device.newest };
    const step = usable.includes(this.chosen.step) ? this.chosen.step : automaticStep(time.wide, often);
    const shown = { ...time, ...wholeSteps(time, STEPS[step]), step, step_ms: STEPS[step], usable };
    const to = Math.max(shown.begin + 1, Math.min(shown.end, now()));
    const part = (below) => (has(`${PATTERN}${below}`) ? orProblem(() => get(ofDevice(this.name, below, { from: shown.begin, to }))) : null);
    const [windows, gaps, [limits, outside]] = await Promise.all([
      orProblem(() => this.windows(shown, to)), part("/gaps"), this.outside(device, shown, to),
    ]);
    return { answer: device, shown, windows, gaps, limits, outside };
  }

  /** The limits of the region that it is in, and its excursions. */
  async outside({ region }, { begin: from }, to) {
    const pattern = "/v1/regions/{region}/limits";
    if (!has(pattern) || !has(`${PATTERN}/excursions`) || !isAddressable(region)) return [null, null];
    const limits = await orProblem(() => get(ofRegion(region, "/limits")));
    if (limits.problem) return [null, { problem: limits.problem }];
    if ( !isLimited(limits)) return [limits, { excursions: [] }];
    if (to - from > READINGS_MS_MAX) return [limits, { problem: "Excursions of a device are listed for 31 days at most: choose a shorter time." }];
    return [limits, await orProblem(() => get(ofDevice(this.name, "/excursions", { from, to })))];
  }

  /** Its windows. Those who may not read all of its regions get none, but the reason. */
  async windows(shown, to) {
    if (has(`${PATTERN}/windows`)) return getAll(ofDevice(this.name, "/windows", stepQuery(shown)), "windows");
    const from = Math.max(shown.begin, to - READINGS_MS_MAX);
    return asWindows(await getAll(ofDevice(this.name, "/readings", { from, to, limit: 1000 }), "readings"));
  }

  show({ answer: device, shown, windows, problem, gaps, limits, outside }) {
    this.shown = shown;
    this.bar.take(shown);
    this.showNow(device);
    const figures = windows.problem ? null : sumUp(windows.windows);
    setText(this.summary, this.summaryOf(windows, figures));
    this.shownWindows = windows.windows;
    this.showExtremes(figures);
    if (windows.problem) this.chart.clear(`No chart: ${windows.problem}`);
    else this.drawChart(windows.windows, gaps, limits, outside);
    this.figure.classList.remove("waiting");
    this.showGaps(gaps);
    this.excursions.show(outside, limits, shown);
    this.showFacts(device);
    const rows = (device.regions ?? []).map((r) => [regionLink(r.region), count(r.count), celsius(r.average_c), celsius(r.temperature_c), moment(r.newest)]);
    replaceWith(this.regions, table("The regions it reported for", ["Region", ...["Readings", "Average", "Latest"].map(numbers), "Measured"], rows));
    if (this.readings.open && this.listed !== `${shown.from} ${shown.to}`) this.listReadings();
  }

  summaryOf({ problem }, figures) {
    const range = `${instant(this.shown.from)} to ${instant(this.shown.to)}`;
    if (problem) return `No figures: ${problem} · ${range}`;
    return [
      `${celsius(figures.average_c)} on average of ${counted(figures.count, "reading", "readings")}`,
      range,
      ...(figures.unknown ? [`without ${counted(figures.unknown, "step", "steps")} whose single readings are deleted`] : []),
    ].join(" · ");
  }

  /** The coldest and the warmest of the time that is shown. */
  showExtremes(figures) {
    const made = figures?.count ? [terms([
      ["Minimum in this time", this.correctable("min_c", figures.min_c, () => this.shownWindows)],
      ["Maximum in this time", this.correctable("max_c", figures.max_c, () => this.shownWindows)],
    ])] : [];
    replaceWith(this.extremes, ...made);
  }

  correctable(key, value, windows) {
    return correctable(this.name, key, value, celsius(value), windows, (words) => setText(this.said, words));
  }

  showNow(device) {
    const ago = now() - Date.parse(device.newest);
    const spans = [element("span", {}, `${celsius(device.temperature_c)} in `, regionLink(device.region), `, ${age(ago)} (${instant(device.newest)})`)];
    if (device.silent) spans.push(element("strong", { className: "trouble", textContent: `silent for ${duration(ago)}` }));
    replaceWith(this.now, ...spans);
    this.now.classList.toggle("old", device.silent === true);
  }

  drawChart(windows, gaps, limits, outside) {
    const values = (key) => windows.map((window) => window[key]);
    const silent = (gaps?.gaps ?? []).map(({ begin, end }) => ({ kind: "gap", from: Date.parse(begin), to: end ? Date.parse(end) : now() }));
    this.chart.draw({
      from: this.shown.from, to: this.shown.to, times: windows.map(({ from }) => Date.parse(from)),
      band: { low: values("min_c"), high: values("max_c") }, lines: [{ label: "Average", values: values("average_c") }],
      limits, spans: [...silent, ...spansOfExcursions(outside?.excursions)],
    });
  }

  showGaps(answer) {
    this.gapsPart.hidden = !answer;
    if (!answer) return;
    const rows = (answer.gaps ?? []).map((gap) => [moment(gap.begin), gap.end ? moment(gap.end) : "goes on", duration(gap.duration_ms)]);
    const words = answer.problem ?? "No gap in this time: it reported as often as expected.";
    replaceWith(this.gaps, rows.length > 0 ? table("Times without a reading", ["Begin", "End", "How long"], rows)
      : element("p", { className: "quiet", textContent: words }));
  }

  showFacts(device) {
    const isKnown = device.silent !== undefined;
    const after = device.silent_after_ms;
    replaceWith(this.facts, terms([
      ["Readings", count(device.count)], ["First seen", instant(device.first_seen)],
      ["Minimum", this.correctable("min_c", device.min_c, () => daysOf(device))],
      ["Maximum", this.correctable("max_c", device.max_c, () => daysOf(device))], ["Average", celsius(device.average_c)],
      ...(isKnown ? [["Expected every", device.expected_interval_ms == null ? "not known" : duration(device.expected_interval_ms)],
        ["Silent after", after == null ? "never" : duration(after)]] : []),
    ]));
  }

  /** The newest readings of the time shown, each with a link that takes it back. */
  async listReadings() {
    if (!this.readings.open || !this.shown) return;
    const { begin, end, from, to } = this.shown;
    this.listed = `${from} ${to}`;
    const last = Math.min(end, now() + DAY);
    const first = Math.max(begin, last - READINGS_MS_MAX);
    this.older = { first, last };
    this.rows = [];
    await this.olderReadings();
  }

  /** Adds a page of the readings before those that are listed. The service lists readings from
   * the oldest on, so a short time is asked for, and longer ones until there are enough. */
  async olderReadings() {
    const asked = this.older;
    let wide = asked.wide ?? HOUR;
    const found = [];
    let [{ last }, problem] = [asked, null];
    while (last > asked.first && found.length < READINGS_A_PAGE && !problem) {
      const from = Math.max(asked.first, last - wide);
      const answer = await orProblem(() => get(ofDevice(this.name, "/readings", { from, to: last, limit: READINGS_MAX })));
      if (asked !== this.older) return;
      problem = answer.problem;
      if (answer.next && wide > 1000) {
        wide = Math.ceil(wide / 4);
        continue;
      }
      found.push(...(answer.readings ?? []).reverse());
      if (!problem) last = from;
      wide *= 2;
    }
    Object.assign(asked, { last, wide });
    this.rows.push(...found.map((r) => [moment(r.timestamp), celsius(r.temperature_c), regionLink(r.region), this.correctLink(r)]));
    const isAll = last <= asked.first;
    const words = problem ?? `${isAll ? "The readings of this time" : `The newest ${count(this.rows.length)} readings of this time`}, the newest first`;
    const more = button("Older readings", () => this.olderReadings(), { hidden: isAll });
    this.readings.replaceChildren(this.readings.firstElementChild,
      table(words, ["Measured", numbers("Temperature"), "Region", "Correct"], this.rows), element("p", { className: "row" }, more));
  }

  correctLink(reading) {
    if (!may("/v1/corrections") || !has("/v1/corrections", "post")) return "";
    return element("a", { href: correctionOf(this.name, reading), textContent: "Take back or correct" });
  }

  async download() {
    if (!this.shown) return;
    const range = { from: this.shown.begin, to: Math.min(this.shown.end, now()) };
    const path = has("/v1/readings") ? ofList("readings", { device_id: this.name, ...range }) : ofDevice(this.name, "/readings", range);
    save(await allCsv(path), `${this.name}-readings.csv`);
  }
}
