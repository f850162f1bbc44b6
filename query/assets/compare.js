// Some regions in one chart, and their figures in one table.

import { getAll, get, isAddressable, now, ofList, ofRegion, orProblem } from "./api.js";
import { Chart } from "./chart.js";
import { COLOURS } from "./colours.js";
import { each, valuesAt } from "./devicelines.js";
import { celsius, count, element, HOUR, instant, setText } from "./format.js";
import { RangeBar } from "./rangebar.js";
import { automaticStep, chosenBy, STEPS, timeOf, usableSteps, wholeSteps } from "./ranges.js";
import { numbers, regionLink, replaceWith, table } from "./tables.js";
import { rank } from "./trouble.js";
import { stepQuery } from "./windows.js";

/** How many names there are to tick. */
const NAMES_MAX = 200;

/** The oldest and newest of all regions. */
function spanOf(regions) {
  const known = regions.filter(({ newest }) => newest != null);
  const oldest = known.map((region) => region.oldest).sort().at(0) ?? null;
  const newest = known.map((region) => region.newest).sort().at(-1) ?? null;
  return { oldest, newest };
}

/** The view of some regions. The address has their names; without, it is the worst
 * ones of now, as many as there are colours. */
export class Compare {
  constructor(main, _name, query) {
    this.title = "Compare";
    this.bar = new RangeBar("#/compare");
    this.summary = element("p", { className: "quiet", textContent: "Loading" });
    this.names = element("fieldset", { className: "chips" }, element("legend", { textContent: "Regions" }));
    const chart = element("div");
    this.figure = element("figure", { className: "chart panel waiting" }, chart);
    this.chart = new Chart(chart, (time) => this.bar.zoom(time));
    this.list = element("div");
    main.replaceChildren(element("h1", { textContent: "Compare regions" }), this.bar.node, this.names, this.summary,
      this.figure, element("h2", { textContent: "In this time" }), this.list);
    this.navigate(query);
  }

  navigate(query) {
    this.chosen = chosenBy(query);
    this.wanted = query.has("regions") ? query.get("regions").split(",").filter(Boolean).slice(0, COLOURS) : null;
    this.bar.kept = new URLSearchParams(this.wanted ? { regions: this.wanted.join(",") } : {});
    this.bar.set(this.chosen);
    this.figure.classList.add("waiting");
  }

  close() {
    this.chart.close();
  }

  async load() {
    const answer = await getAll("v1/regions", "regions");
    const all = answer.regions.filter(({ region, newest }) => newest != null && isAddressable(region));
    const worst = all.toSorted((a, b) => rank(a) - rank(b) || (a.region < b.region ? -1 : 1));
    const known = new Set(all.map(({ region }) => region));
    const ticked = this.wanted?.filter((name) => known.has(name)) ?? worst.slice(0, COLOURS).map(({ region }) => region).sort();
    const names = all.map(({ region }) => region).slice(0, NAMES_MAX);
    if (answer.stale || ticked.length === 0) return { answer, names, ticked };
    const time = timeOf(this.chosen, spanOf(all.filter(({ region }) => ticked.includes(region))));
    const { regions } = await getAll(ofList("regions", wholeSteps(time, HOUR)), "regions");
    const figures = regions.filter(({ region }) => ticked.includes(region));
    const usable = usableSteps(time.wide);
    const steps = figures.map((each) => automaticStep(time.wide, each));
    const coarsest = steps.toSorted((a, b) => STEPS[b] - STEPS[a]).at(0);
    const step = usable.includes(this.chosen.step) ? this.chosen.step : coarsest;
    const shown = { ...time, ...wholeSteps(time, STEPS[step]), step, step_ms: STEPS[step], usable };
    const series = await each(ticked, async (name) => orProblem(() => get(ofRegion(name, "/windows", stepQuery(shown)))));
    return { answer, names, ticked, figures, shown, series };
  }

  show({ answer, names, ticked, figures, shown, series }) {
    this.showNames(names, ticked);
    if (!shown) {
      this.chart.clear(answer.stale ? "The regions database is away: there are no windows to draw." : "No region is ticked.");
      setText(this.summary, "");
      return;
    }
    this.bar.take(shown);
    const failed = series.flatMap(({ problem }, index) => (problem ? [`no line of ${ticked[index]}: ${problem}`] : []));
    setText(this.summary, [`${instant(shown.from)} to ${instant(shown.to)}, averages of ${shown.step}`, ...failed].join(" · "));
    const windows = series.find(({ problem }) => !problem)?.windows ?? [];
    this.chart.draw({
      from: shown.from, to: shown.to, times: windows.map(({ from }) => Date.parse(from)),
      lines: ticked.map((label, index) => ({ label, values: valuesAt(windows, series[index].windows ?? []), colour: index })),
    });
    this.figure.classList.remove("waiting");
    const rows = figures.map((r) => [regionLink(r.region), celsius(r.average_c), celsius(r.min_c), celsius(r.max_c),
      celsius(r.p95_c), count(r.count), count(r.devices)]);
    replaceWith(this.list, table(`Figures of whole hours from ${instant(figures[0]?.from)} to ${instant(figures[0]?.to ?? now())}`,
      ["Region", ...["Average", "Minimum", "Maximum", "p95", "Readings", "Devices"].map(numbers)], rows));
  }

  /** A box for each region, in the colour of its line. */
  showNames(names, ticked) {
    const boxes = this.names.querySelectorAll("input");
    if (names.join() !== [...boxes].map(({ value }) => value).join()) {
      const chip = (value) => {
        const box = element("input", { type: "checkbox", value, onchange: () => this.tick() });
        return element("label", { className: "chip" }, box, element("span", { className: "swatch" }), value);
      };
      this.names.replaceChildren(this.names.firstElementChild, ...names.map(chip));
    }
    for (const box of this.names.querySelectorAll("input")) {
      const index = ticked.indexOf(box.value);
      box.checked = index >= 0;
      box.disabled = index < 0 && ticked.length >= COLOURS;
      box.nextElementSibling.dataset.colour = index < 0 ? "" : index;
    }
  }

  tick() {
    const regions = [...this.names.querySelectorAll("input:checked")].map(({ value }) => value);
    this.bar.kept = new URLSearchParams({ regions: regions.join(",") });
    this.bar.choose(this.chosen);
  }
}
