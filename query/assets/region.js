// One region: the chart of its windows, what its average is made of, its devices.

import { csv, get, now, ofRegion } from "./api.js";
import { Chart } from "./chart.js";
import { age, celsius, count, counted, DAY, element, HOUR, instant, MINUTE, setText } from "./format.js";

const RANGES = {
  "1h": ["1 hour", HOUR], "6h": ["6 hours", 6 * HOUR], "24h": ["24 hours", DAY],
  "7d": ["7 days", 7 * DAY], "30d": ["30 days", 30 * DAY], "1y": ["1 year", 366 * DAY],
  all: ["all time", null],
};
const STEPS = {
  "1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "6h": 6 * HOUR,
  "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY,
};
/** How many windows a chart shows well, and can show at all. The service answers
 * with at most 10,000 at once. */
const WINDOWS_WANTED = 400;
const WINDOWS_MAX = 3_000;
/** While at least this part of a device's readings arrives, lost ones do not make the
 * automatic step longer. */
const ARRIVING = 0.9;
const DEVICES_A_PAGE = 100;

/** The time that is asked for: where it ends, and how wide it is, in ms. */
function chosenTime(region, { range, to }) {
  const newest = Date.parse(region.newest);
  const wide = RANGES[range][1] ?? newest - Date.parse(region.oldest);
  // Where nothing came for as long as the range, it ends with the newest reading.
  const isPast = range === "all" || now() - newest > wide;
  return { end: to ?? (isPast ? newest : now()), wide, isPast: isPast && to == null };
}

/** The whole steps that a time is in, so that it lacks no reading. They are up to
 * two more than fit into it. */
function wholeSteps({ end, wide }, step_ms) {
  const begin = Math.max(0, end - wide);
  return {
    from: Math.floor(begin / step_ms) * step_ms,
    to: (Math.floor(end / step_ms) + 1) * step_ms,
  };
}

/** How often a device reports, in ms, by the figures of a range; 0 where no device
 * reports twice. */
function interval({ count, devices, oldest, newest }) {
  // Where the number of devices is not known, the step is rather too fine.
  const each = count / (devices ?? 1);
  return each > 1 ? (Date.parse(newest) - Date.parse(oldest)) / each : 0;
}

/** The finest step that a chart shows well, and that is no finer than readings come. */
function automaticStep(wide, figures) {
  const least = Math.max(wide / WINDOWS_WANTED, interval(figures) * ARRIVING);
  const names = Object.keys(STEPS);
  return names.find((name) => STEPS[name] >= least) ?? names.at(-1);
}

const FIGURES = [
  ["Average of the readings", (r) => celsius(r.average_c)],
  ["Average of the devices", (r) => celsius(r.device_average_c)],
  ["Minimum", (r) => celsius(r.min_c)],
  ["Maximum", (r) => celsius(r.max_c)],
  ["Standard deviation", (r) => celsius(r.standard_deviation_c)],
  ["Median (p50)", (r) => celsius(r.p50_c)],
  ["p95", (r) => celsius(r.p95_c)],
  ["p99", (r) => celsius(r.p99_c)],
  ["Readings", (r) => count(r.count)],
  ["Devices", (r) => count(r.devices)],
  ["Late", (r) => count(r.late)],
  ["Duplicates", (r) => count(r.duplicates)],
  ["Conflicts", (r) => count(r.conflicts)],
  ["Oldest reading", (r) => instant(r.oldest)],
  ["Newest reading", (r) => instant(r.newest)],
  ["Not counted yet (requests)", (r) => count(r.unfolded_entries)],
  ["Quarantine (readings)", (r) => count(r.quarantined_readings)],
  ["Revision", (r) => count(r.revision)],
];

function table(caption, columns, rows) {
  const head = element("tr", {}, ...columns.map((c) => element("th", { scope: "col", textContent: c })));
  const body = rows.map((cells) =>
    element("tr", {}, ...cells.map((cell) => element("td", { textContent: cell }))));
  const made = element("table", { className: "rows" }, element("caption", { className: "quiet", textContent: caption }),
    element("thead", {}, head), element("tbody", {}, ...body));
  const scroll = element("div", { className: "scroll", tabIndex: 0 }, made);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", caption);
  return scroll;
}

/** The view of one region. `refresh` asks the service, and says what it covers. */
export class Region {
  constructor(main, name, query) {
    this.name = name;
    this.chosen = {
      range: query.get("range") in RANGES ? query.get("range") : "24h",
      step: query.get("step") in STEPS ? query.get("step") : "auto",
      to: /^\d{1,15}$/.test(query.get("to") ?? "") ? Number(query.get("to")) : null,
    };
    this.devicesShown = DEVICES_A_PAGE;
    this.build(main);
  }

  build(main) {
    const option = ([value, textContent]) => element("option", { value, textContent });
    this.range = element("select", {}, ...Object.entries(RANGES).map(([v, [t]]) => option([v, t])));
    this.step = element("select", {}, option(["auto", "automatic"]), ...Object.keys(STEPS).map((s) => option([s, s])));
    this.range.value = this.chosen.range;
    this.step.value = this.chosen.step;
    const button = (textContent, onclick) => element("button", { type: "button", textContent, onclick });
    this.range.onchange = () => this.choose({ range: this.range.value, to: null });
    this.step.onchange = () => this.choose({ step: this.step.value });
    this.later = button("Later", () => this.move(1));
    this.summary = element("p", { className: "quiet", textContent: "Loading" });
    const chart = element("div");
    this.figure = element("figure", { className: "chart panel waiting" }, chart);
    this.chart = new Chart(chart);
    this.figures = element("dl", { className: "figures panel" });
    this.windows = element("details", { ontoggle: () => this.listWindows() },
      element("summary", { textContent: "The windows as a table" }));
    this.devices = element("div");
    this.more = button("More devices", () => this.moreDevices());
    this.more.hidden = true;
    main.replaceChildren(
      element("p", {}, element("a", { href: "#/", textContent: "All regions" })),
      element("h1", { textContent: this.name }), this.summary,
      element("div", { className: "tools" }, element("label", {}, "Range", this.range),
        element("label", {}, "Step", this.step), button("Earlier", () => this.move(-1)), this.later,
        button("Download CSV", () => this.download())),
      this.figure, this.windows,
      element("h2", { textContent: "What the average is made of" }), this.figures,
      element("h2", { textContent: "Devices" }), this.devices, this.more);
  }

  close() {
    this.chart.close();
  }

  choose(change) {
    const { range, step, to } = { ...this.chosen, ...change };
    const query = new URLSearchParams({ range, step, ...(to != null && { to }) });
    location.hash = `#/region/${encodeURIComponent(this.name)}?${query}`;
  }

  move(direction) {
    if (!this.shown) return;
    const to = this.shown.to - 1 + direction * this.shown.wide;
    this.choose({ to: to >= now() ? null : Math.max(this.shown.step_ms, to) });
  }

  windowsPath({ from, to, step }) {
    return ofRegion(this.name, "/windows", { from, to, step });
  }

  /** The range and step to show. */
  async shownRange(region) {
    const time = chosenTime(region, this.chosen);
    const usable = Object.keys(STEPS).filter((step) => time.wide / STEPS[step] <= WINDOWS_MAX);
    const step = usable.includes(this.chosen.step) ? this.chosen.step : await this.automaticStep(time);
    return { ...time, ...wholeSteps(time, STEPS[step]), step, step_ms: STEPS[step], usable };
  }

  async automaticStep(time) {
    // Of whole hours the service always knows how many devices there are.
    const figures = await get(ofRegion(this.name, "", wholeSteps(time, HOUR)));
    return automaticStep(time.wide, figures);
  }

  async refresh() {
    const region = await get(ofRegion(this.name));
    if (region.stale || region.newest == null) {
      this.showFigures(region, region.stale ? "over all time, last good figures" : "no counted reading");
      if (region.newest == null) this.chart.clear("No reading in this region was counted.");
      return region;
    }
    const shown = await this.shownRange(region);
    const { from, to } = shown;
    const [series, figures, devices] = await Promise.all([
      get(this.windowsPath(shown)), get(ofRegion(this.name, "", { from, to })),
      get(ofRegion(this.name, "/devices", { limit: this.devicesShown })),
    ]);
    this.shown = shown;
    this.series = series.windows;
    this.show(region, figures);
    this.showDevices(devices);
    return region;
  }

  show(region, figures) {
    const { from, to, step, usable, isPast } = this.shown;
    for (const choice of this.step.options) {
      choice.disabled = choice.value !== "auto" && !usable.includes(choice.value);
    }
    this.later.disabled = to > now();
    const why = isPast && this.chosen.range !== "all" ? " (nothing newer came)" : "";
    this.showFigures(figures, `${instant(from)} to ${instant(to)}${why}, windows of ${step}`);
    this.chart.draw(this.series);
    this.figure.classList.remove("waiting");
    this.listWindows();
  }

  showFigures(figures, words) {
    setText(this.summary, `${celsius(figures.average_c)} on average of ${counted(figures.count, "reading", "readings")} · ${words}`);
    if (this.figures.children.length === 0) {
      for (const [name] of FIGURES) {
        this.figures.append(element("div", {}, element("dt", { textContent: name }), element("dd")));
      }
    }
    FIGURES.forEach(([, text], index) => {
      setText(this.figures.children[index].lastElementChild, text(figures));
    });
  }

  listWindows() {
    if (!this.windows.open || !this.series) return;
    const rows = this.series.map((w) => [instant(Date.parse(w.from)), count(w.count),
      celsius(w.average_c), celsius(w.min_c), celsius(w.max_c), celsius(w.standard_deviation_c)]);
    const made = table("Windows", ["Begin", "Readings", "Average", "Minimum", "Maximum", "Deviation"], rows);
    this.windows.replaceChildren(this.windows.firstElementChild, made);
  }

  showDevices({ devices, next }) {
    const rows = devices.map((d) => [d.device_id, celsius(d.temperature_c),
      age(now() - Date.parse(d.newest)), count(d.count), celsius(d.average_c), instant(Date.parse(d.first_seen))]);
    const columns = ["Device", "Latest", "Measured", "Readings", "Average", "First seen"];
    this.devices.replaceChildren(table("Devices over all time, by name", columns, rows));
    this.more.hidden = !next || this.devicesShown >= 1000;
  }

  async moreDevices() {
    this.devicesShown = Math.min(1000, this.devicesShown + DEVICES_A_PAGE);
    this.showDevices(await get(ofRegion(this.name, "/devices", { limit: this.devicesShown })));
  }

  async download() {
    if (!this.shown) return;
    const url = URL.createObjectURL(await csv(this.windowsPath(this.shown)));
    element("a", { href: url, download: `${this.name}.csv` }).click();
    URL.revokeObjectURL(url);
  }
}
