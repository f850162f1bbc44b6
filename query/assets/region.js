// One region: the chart of its windows with its limits and excursions, what its average
// is made of, its devices.

import { allCsv, csv, get, now, ofList, ofRegion, orProblem } from "./api.js";
import { Chart } from "./chart.js";
import { seriesOf, valuesAt, LINES_MAX } from "./devicelines.js";
import { deviceRows, DEVICE_COLUMNS } from "./devicerows.js";
import { save } from "./download.js";
import { MARKS, marksOfWindows } from "./drawn.js";
import { Excursions, isLimited, pathsOfExcursions, spansOfExcursions } from "./excursions.js";
import { Figures } from "./figures.js";
import { celsius, count, counted, DAY, element, HOUR, instant, moment, setText } from "./format.js";
import { LimitsForm } from "./limits.js";
import { button, RangeBar } from "./rangebar.js";
import { automaticStep, chosenBy, STEPS, timeOf, usableSteps, wholeSteps } from "./ranges.js";
import { has } from "./routes.js";
import { Completeness, sendersOf } from "./senders.js";
import { numbers, replaceWith, table } from "./tables.js";
import { lackOf } from "./trouble.js";
import { stepQuery } from "./windows.js";

const DEVICES_A_PAGE = 100;
const COLUMNS = ["Begin", ...["Readings", "Average", "Minimum", "Maximum", "Deviation", "Late", "Conflicts", "Corrected"].map(numbers)];

/** The view of one region. `load` asks the service, and `show` shows the answers. */
export class Region {
  constructor(main, name, query, refresh) {
    this.name = name;
    this.title = name;
    this.refresh = refresh;
    this.devicesShown = DEVICES_A_PAGE;
    this.build(main);
    this.navigate(query);
  }

  build(main) {
    this.lines = button("Devices as lines", () => this.toggleLines(), { hidden: !has("/v1/devices/{device_id}/windows") });
    this.bar = new RangeBar(`#/region/${encodeURIComponent(this.name)}`, this.lines,
      button("Download windows (CSV)", () => this.download()),
      button("Download readings (CSV)", () => this.downloadReadings(), { hidden: !has("/v1/readings") }),
      button("Download readings, 30 days (CSV)", () => this.downloadLast(), { hidden: !has("/v1/readings") }));
    this.completeness = new Completeness("Readings of this region may be among those that are missing.");
    this.now = element("p", { className: "now", hidden: true });
    this.summary = element("p", { className: "quiet", textContent: "Loading" });
    const chart = element("div");
    this.marks = element("p", { className: "quiet marks" });
    this.figure = element("figure", { className: "chart panel waiting" }, chart, this.marks);
    this.chart = new Chart(chart, (time) => this.bar.zoom(time));
    this.figures = new Figures();
    this.windows = element("details", { ontoggle: () => this.listWindows() },
      element("summary", { textContent: "The windows as a table" }));
    this.paths = pathsOfExcursions(this.name);
    this.excursions = new Excursions(this.name, this.paths.excursions, this.name);
    this.limits = new LimitsForm(this.name, () => this.refresh());
    this.devices = element("div");
    this.more = button("More devices", () => this.moreDevices(), { hidden: true });
    main.replaceChildren(
      element("p", {}, element("a", { href: "#/", textContent: "All regions" })),
      element("h1", { textContent: this.name }), this.completeness.node, this.now, this.bar.node, this.summary,
      this.figure, this.windows, this.excursions.node, this.limits.node,
      element("h2", { textContent: "What the average is made of" }), this.figures.node,
      element("h2", { textContent: "Devices" }), this.devices, this.more);
  }

  /** Takes what another address of this view chooses. */
  navigate(query) {
    this.chosen = chosenBy(query);
    this.hasLines = query.get("lines") === "devices" && !this.lines.hidden;
    this.lines.setAttribute("aria-pressed", String(this.hasLines));
    this.bar.kept = new URLSearchParams(this.hasLines ? { lines: "devices" } : {});
    this.bar.set(this.chosen);
    this.figure.classList.add("waiting");
  }

  close() {
    this.chart.close();
  }

  toggleLines() {
    this.bar.kept = new URLSearchParams(this.hasLines ? {} : { lines: "devices" });
    this.bar.choose(this.chosen);
  }

  /** The time and step to show. */
  async shownTime(region) {
    const time = timeOf(this.chosen, region);
    const usable = usableSteps(time.wide);
    const step = usable.includes(this.chosen.step) ? this.chosen.step : await this.automaticStep(time);
    return { ...time, ...wholeSteps(time, STEPS[step]), step, step_ms: STEPS[step], usable };
  }

  async automaticStep(time) {
    // Of whole hours the service always knows how many devices there are.
    const figures = await orProblem(() => get(ofRegion(this.name, "", wholeSteps(time, HOUR))));
    return automaticStep(time.wide, figures.problem ? { count: 0 } : figures);
  }

  devicesPath() {
    const limit = this.devicesShown;
    return has("/v1/devices") ? ofList("devices", { region: this.name, limit }) : ofRegion(this.name, "/devices", { limit });
  }

  async load() {
    const region = await get(ofRegion(this.name));
    if (region.stale || region.newest == null) return { answer: region, senders: await sendersOf(region) };
    const shown = await this.shownTime(region);
    const { from, to } = shown;
    const excursions = { from: shown.begin, to: Math.max(shown.begin + 1, Math.min(shown.end, now())) };
    const limits = this.paths.limits && await orProblem(() => get(this.paths.limits()));
    const [series, figures, devices, outside, senders] = await Promise.all([
      orProblem(() => get(ofRegion(this.name, "/windows", stepQuery(shown)))), orProblem(() => get(ofRegion(this.name, "", { from, to }))),
      orProblem(() => get(this.devicesPath())), this.outside(limits, excursions), sendersOf(region),
    ]);
    const names = (devices.devices ?? []).map(({ device_id }) => device_id);
    const lines = this.hasLines ? await seriesOf(names, stepQuery(shown)) : [];
    return { answer: region, shown, windows: series, figures, devices, limits, outside, lines, senders };
  }

  /** The excursions of a time; without limits there are none to ask for. */
  outside(limits, time) {
    if (!this.paths.excursions || !limits || limits.problem) return null;
    return isLimited(limits) ? orProblem(() => get(this.paths.excursions(time))) : { excursions: [] };
  }

  show({ answer, shown, windows, figures, devices, limits, outside, lines, senders }) {
    this.completeness.show(answer, senders);
    if (!shown) {
      const words = answer.stale ? "over all time, last good figures" : "no counted reading";
      this.showFigures(answer, words);
      if (answer.newest == null) this.chart.clear("No reading in this region was counted.");
      return;
    }
    Object.assign(this, { shown, series: windows.windows });
    this.showNow(answer);
    this.bar.take(shown);
    const { from, to, step, isPast } = shown;
    const why = isPast && this.chosen.range !== "all" ? " (nothing newer came)" : "";
    this.showFigures(figures, `${instant(from)} to ${instant(to)}${why}, windows of ${step}`);
    if (windows.problem) this.noChart(windows.problem);
    else this.drawChart(limits, outside, lines);
    this.listWindows();
    this.excursions.show(outside, limits, shown);
    this.limits.show(limits?.problem ? null : limits);
    this.showDevices(devices);
  }

  /** What the newest readings say, where the node tells. */
  showNow(region) {
    const { latest_average_c: average, latest_devices: devices, warmest_c, warmest_device, coldest_c, coldest_device, silent = [], within_limits: isWithin } = region;
    this.now.hidden = average === undefined;
    if (average === undefined) return;
    const words = average === null ? "no device reports" : [
      `${celsius(average)} on average of ${counted(devices, "device", "devices")}`,
      `warmest ${celsius(warmest_c)} (${warmest_device})`, `coldest ${celsius(coldest_c)} (${coldest_device})`,
    ].join(" · ");
    const troubles = [
      ...(isWithin === false ? ["outside its limits"] : []),
      ...(silent.length > 0 ? [`silent: ${silent.join(", ")}`] : []),
      ...[lackOf(region)].filter(Boolean),
    ];
    const said = [element("span", {}, element("span", { className: "when" }), words),
      ...troubles.map((text) => element("strong", { className: "trouble", textContent: text }))];
    replaceWith(this.now, ...said);
  }

  drawChart(limits, outside, all) {
    const { series } = this;
    const lines = all.filter((line) => line.windows !== null);
    const { marks, totals } = marksOfWindows(series);
    const values = (key) => series.map((window) => window[key]);
    // The first colour is that of the average.
    this.chart.draw({
      from: this.shown.from, to: this.shown.to, times: series.map(({ from }) => Date.parse(from)),
      band: { low: values("min_c"), high: values("max_c") },
      lines: [{ label: "Average", values: values("average_c") },
        ...lines.map(({ name, windows }, index) => ({ label: name, values: valuesAt(series, windows), colour: index + 1 }))],
      limits, spans: spansOfExcursions(outside?.excursions), marks,
    });
    this.figure.classList.remove("waiting");
    const failed = lines.filter(({ problem }) => problem).map(({ name, problem }) => `no line of ${name}: ${problem}`);
    const words = Object.entries(MARKS).filter(([kind]) => totals[kind])
      .map(([kind, { sign, words: text }]) => `${sign} ${count(totals[kind])} ${text}`);
    if (this.hasLines && lines.length === LINES_MAX) words.push(`the first ${LINES_MAX} devices are drawn`);
    setText(this.marks, [...words, ...failed].join(" · "));
    this.marks.hidden = words.length === 0 && failed.length === 0;
  }

  noChart(problem) {
    this.chart.clear(`No chart: ${problem}`);
    this.figure.classList.remove("waiting");
    this.marks.hidden = true;
  }

  showFigures(figures, words) {
    if (figures.problem) {
      setText(this.summary, `No figures: ${figures.problem} · ${words}`);
      return;
    }
    setText(this.summary, `${celsius(figures.average_c)} on average of ${counted(figures.count, "reading", "readings")} · ${words}`);
    this.figures.show(figures);
  }

  listWindows() {
    if (!this.windows.open) return;
    if (!this.series) {
      this.windows.replaceChildren(this.windows.firstElementChild);
      return;
    }
    const some = (value) => (value ? count(value) : "");
    const rows = this.series.map((w) => [moment(w.from), count(w.count), celsius(w.average_c), celsius(w.min_c),
      celsius(w.max_c), celsius(w.standard_deviation_c), some(w.late), some(w.conflicts), some(w.corrected)]);
    const made = table("Windows", COLUMNS, rows);
    this.windows.replaceChildren(this.windows.firstElementChild, made);
  }

  showDevices({ devices = [], next, problem }) {
    if (problem) {
      replaceWith(this.devices, element("p", { className: "quiet", textContent: `No devices: ${problem}` }));
      return;
    }
    replaceWith(this.devices, devices.length > 0 ? table("Devices over all time, by name", DEVICE_COLUMNS, deviceRows(devices))
      : element("p", { className: "quiet", textContent: "No device of this region is listed." }));
    this.more.hidden = !next || this.devicesShown >= 1000;
  }

  async moreDevices() {
    this.devicesShown = Math.min(1000, this.devicesShown + DEVICES_A_PAGE);
    this.showDevices(await get(this.devicesPath()));
  }

  async download() {
    if (this.shown) save(await csv(ofRegion(this.name, "/windows", stepQuery(this.shown))), `${this.name}.csv`);
  }

  async downloadReadings() {
    if (this.shown) await this.saveReadings(this.shown.begin, Math.min(this.shown.end, now()));
  }

  /** The last 30 days, whatever is shown. */
  downloadLast() {
    return this.saveReadings(now() - 30 * DAY, now());
  }

  async saveReadings(from, to) {
    save(await allCsv(ofList("readings", { region: this.name, from, to })), `${this.name}-readings.csv`);
  }
}
