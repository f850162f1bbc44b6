// All regions at a glance: a card each, those in view with a sparkline.

import { get, getAll, now, ofRegion } from "./api.js";
import { alone } from "./chart.js";
import { celsius, count, counted, element, HOUR, markFreshness, setText } from "./format.js";

const SPARK_HOURS = 24;
const AT_ONCE = 4;
const SVG = "http://www.w3.org/2000/svg";

const ORDERS = {
  name: ["by name", (a, b) => (a.region < b.region ? -1 : 1)],
  warmest: ["warmest first", (a, b) => (b.current ?? -Infinity) - (a.current ?? -Infinity)],
  coldest: ["coldest first", (a, b) => (a.current ?? Infinity) - (b.current ?? Infinity)],
  oldest: ["longest silent first", (a, b) => Date.parse(a.newest ?? 0) - Date.parse(b.newest ?? 0)],
};

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

class Card {
  constructor(name) {
    this.average = element("span", { className: "average", textContent: "…" });
    this.what = element("span", { className: "what", textContent: "loading" });
    this.fresh = element("span", { className: "fresh" });
    this.svg = document.createElementNS(SVG, "svg");
    for (const [key, value] of [["class", "spark"], ["viewBox", "0 0 100 32"],
      ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) {
      this.svg.setAttribute(key, value);
    }
    this.line = document.createElementNS(SVG, "path");
    this.dots = document.createElementNS(SVG, "path");
    this.dots.setAttribute("class", "alone");
    this.svg.append(this.line, this.dots);
    const link = element("a", { href: `#/region/${encodeURIComponent(name)}` },
      element("span", { className: "name", textContent: name }),
      this.average, this.what, this.svg, this.fresh);
    this.node = element("li", {}, link);
    this.node.dataset.region = name;
    this.drawn = null;
    this.isVisible = false;
  }

  showHours(windows) {
    const hour = windows.findLast((window) => window.count > 0);
    setText(this.average, celsius(hour?.average_c));
    const devices = hour?.devices == null ? "" : ` · ${counted(hour.devices, "device", "devices")}`;
    setText(this.what, hour ? `${hour.from.slice(0, 13).replace("T", " ")} h${devices}` : "no counted reading");
    const [line, dots] = spark(windows.map((window) => window.average_c));
    this.line.setAttribute("d", line);
    this.dots.setAttribute("d", dots);
    return hour?.average_c;
  }
}

/** The view of all regions. `refresh` asks the service, and says what it covers. */
export class Overview {
  constructor(main) {
    this.cards = new Map();
    this.regions = [];
    this.main = main;
    this.summary = element("p", { className: "quiet", textContent: "Loading the regions" });
    this.filter = element("input", { type: "search", autocomplete: "off" });
    this.order = element("select");
    for (const [value, [text]] of Object.entries(ORDERS)) {
      this.order.append(element("option", { value, textContent: text }));
    }
    this.list = element("ul", { className: "regions" });
    this.tools = element("div", { className: "tools", hidden: true },
      element("label", {}, "Filter", this.filter), element("label", {}, "Order", this.order));
    for (const control of [this.filter, this.order]) {
      control.addEventListener("input", () => this.arrange());
    }
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        this.cards.get(entry.target.dataset.region).isVisible = entry.isIntersecting;
      }
      this.drawVisible().catch(() => {});
    }, { rootMargin: "200px" });
    main.replaceChildren(element("h1", { textContent: "Regions" }), this.summary, this.tools, this.list);
    this.ticking = setInterval(() => this.tick(), 1000);
  }

  close() {
    clearInterval(this.ticking);
    this.observer.disconnect();
  }

  async refresh() {
    const answer = await getAll("v1/regions", "regions");
    const current = new Map(this.regions.map((region) => [region.region, region.current]));
    this.regions = answer.regions.map((r) => ({ ...r, current: current.get(r.region) }));
    this.stale = answer.stale;
    this.arrange();
    if (!answer.stale) await this.drawVisible();
    return answer;
  }

  /** Puts the cards that are wanted in their order. */
  arrange() {
    const wanted = this.filter.value.trim().toLowerCase();
    const shown = this.regions.filter(({ region }) => region.toLowerCase().includes(wanted));
    shown.sort(ORDERS[this.order.value][1]);
    const nodes = shown.map(({ region }) => this.card(region).node);
    const isInOrder = nodes.length === this.list.children.length
      && nodes.every((node, index) => this.list.children[index] === node);
    if (!isInOrder) {
      const focused = document.activeElement;
      this.list.replaceChildren(...nodes);
      if (this.list.contains(focused)) focused.focus();
    }
    this.tools.hidden = this.regions.length < 2;
    const readings = this.regions.reduce((sum, region) => sum + region.count, 0);
    if (this.regions.length === 0) {
      setText(this.summary, "No region yet. They appear with their first reading: POST one to v1/readings.");
    } else if (shown.length === 0) {
      setText(this.summary, "No region has such a name.");
    } else {
      setText(this.summary, `${count(shown.length)} of ${counted(this.regions.length, "region", "regions")} · `
        + `${counted(readings, "reading", "readings")} · the average is that of the newest hour with readings`);
    }
    this.tick();
  }

  card(name) {
    let card = this.cards.get(name);
    if (!card) {
      card = new Card(name);
      this.cards.set(name, card);
      this.observer.observe(card.node);
    }
    return card;
  }

  tick() {
    for (const { region, newest } of this.regions) {
      const card = this.card(region);
      markFreshness(card.fresh, newest, now());
      if (newest == null) card.showHours([]);
    }
  }

  /** Asks for the hours of the cards in view that have changed. */
  async drawVisible() {
    const due = this.regions.filter((region) => {
      const card = this.card(region.region);
      return card.isVisible && region.newest && card.drawn !== region.revision;
    });
    const worker = async () => {
      for (let region; (region = due.shift());) {
        const card = this.card(region.region);
        const { windows } = await get(hoursUpTo(region));
        card.drawn = region.revision;
        region.current = card.showHours(windows);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }
}
