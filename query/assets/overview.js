// All regions at a glance: a card each, and what is wrong before them. The hours of
// those in view are asked for, or of all where their order depends on it.

import { mayReadAll } from "./access.js";
import { getAll } from "./api.js";
import { Card } from "./card.js";
import { count, counted, element, setText } from "./format.js";
import { Completeness, Senders, sendersOf } from "./senders.js";
import { deviceLink, regionLink, replaceWith } from "./tables.js";
import { isTold, outsideOf } from "./trouble.js";

const AT_ONCE = 4;

/** The orders, and those of them that need the average of each card. */
const BY_AVERAGE = ["warmest", "coldest"];
const byName = (a, b) => (a.name < b.name ? -1 : 1);
const ORDERS = {
  worst: ["worst first", (a, b) => a.rank - b.rank || byName(a, b)],
  name: ["by name", byName],
  warmest: ["warmest first", (a, b) => (b.current ?? -Infinity) - (a.current ?? -Infinity)],
  coldest: ["coldest first", (a, b) => (a.current ?? Infinity) - (b.current ?? Infinity)],
  oldest: ["longest silent first", (a, b) => a.newest - b.newest],
};

/** How many are named in the line of what is wrong. */
const NAMED_MAX = 8;

/** The view of all regions. `load` asks the service, and `show` shows the answer. */
export class Overview {
  constructor(main) {
    this.title = "";
    /** The cards by the names of their regions, those of the last list, and of
     * these the ones that are shown, in their order. */
    this.cards = new Map();
    this.listed = [];
    this.shown = [];
    this.stale = false;
    this.isComplete = true;
    this.asking = 0;
    this.arranging = null;
    this.isOpen = true;
    this.summary = element("p", { className: "quiet", textContent: "Loading the regions" });
    this.filter = element("input", { type: "search", autocomplete: "off" });
    this.order = element("select");
    for (const [value, [text]] of Object.entries(ORDERS)) {
      this.order.append(element("option", { value, textContent: text }));
    }
    this.list = element("ul", { className: "regions" });
    this.trouble = element("p", { className: "alarm", hidden: true });
    this.trouble.setAttribute("role", "status");
    this.tools = element("div", { className: "tools", hidden: true },
      element("label", {}, "Filter", this.filter), element("label", {}, "Order", this.order));
    for (const control of [this.filter, this.order]) {
      control.addEventListener("input", () => {
        this.arrange();
        this.draw();
      });
    }
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        this.cards.get(entry.target.dataset.region).isVisible = entry.isIntersecting;
      }
      this.draw();
    }, { rootMargin: "200px" });
    this.completeness = new Completeness();
    this.senders = new Senders();
    main.replaceChildren(element("h1", { textContent: "Regions" }), this.completeness.node, this.trouble, this.summary, this.tools, this.list, this.senders.node);
    this.ticking = setInterval(() => this.tick(), 1000);
  }

  close() {
    this.isOpen = false;
    clearInterval(this.ticking);
    cancelAnimationFrame(this.arranging);
    this.observer.disconnect();
  }

  async load() {
    const answer = await getAll("v1/regions", "regions");
    return { answer, senders: await sendersOf(answer) };
  }

  /** Shows a list. Of one that was kept by the browser, the hours can't be asked for. */
  show({ answer, senders }, keptAt = null) {
    this.completeness.show(answer, senders);
    this.senders.show(answer, senders);
    this.listed = answer.regions.map((region) => this.card(region));
    this.stale = answer.stale || keptAt !== null;
    this.isComplete = answer.complete;
    this.showTrouble(answer.regions);
    this.arrange();
    this.draw();
  }

  /** Says what is wrong anywhere, whatever is filtered. */
  showTrouble(regions) {
    const outside = regions.filter(outsideOf);
    const silent = regions.flatMap((region) => region.silent ?? []);
    const devices = regions.reduce((sum, { silent_devices: some = 0 }) => sum + some, 0);
    const named = (links, all) => [...links.slice(0, NAMED_MAX).flatMap((link, index) => (index ? [", ", link] : [link])),
      ...(all > NAMED_MAX ? [` and ${count(all - NAMED_MAX)} more`] : []), ". "];
    this.trouble.hidden = outside.length + devices === 0;
    replaceWith(this.trouble,
      ...(outside.length ? [element("span", {}, "Outside limits: ", ...named(outside.map(({ region }) => regionLink(region)), outside.length))] : []),
      ...(devices ? [element("span", {}, `${counted(devices, "device", "devices")} silent: `, ...named(silent.map(deviceLink), devices))] : []));
  }

  /** The card of a region, with what a list says of it. */
  card(region) {
    let card = this.cards.get(region.region);
    if (!card) {
      card = new Card(region.region);
      this.cards.set(region.region, card);
      this.observer.observe(card.node);
    }
    card.update(region);
    return card;
  }

  /** Puts the cards that are wanted in their order. */
  arrange() {
    const wanted = this.filter.value.trim().toLowerCase();
    this.shown = this.listed.filter(({ name }) => name.toLowerCase().includes(wanted));
    this.shown.sort(ORDERS[this.order.value][1]);
    const nodes = this.shown.map(({ node }) => node);
    const isInOrder = nodes.length === this.list.children.length
      && nodes.every((node, index) => this.list.children[index] === node);
    if (!isInOrder) {
      const focused = document.activeElement;
      this.list.replaceChildren(...nodes);
      // The focus stays with its card; the page does not run after it.
      if (this.list.contains(focused)) focused.focus({ preventScroll: true });
    }
    this.tools.hidden = this.listed.length < 2;
    setText(this.summary, this.summaryText());
    this.tick();
  }

  /** Arranges once for all averages that come before the next picture. */
  arrangeSoon() {
    this.arranging ??= requestAnimationFrame(() => {
      this.arranging = null;
      this.arrange();
    });
  }

  summaryText() {
    const [all, shown] = [this.listed.length, this.shown.length];
    if (all === 0 && !this.isComplete) return "No region is known at present.";
    if (all === 0 && !mayReadAll()) return "No region yet that this session reads.";
    if (all === 0) return "No region yet. They appear with their first reading: POST one to v1/readings.";
    if (shown === 0) return "No region in the list has such a name.";
    const readings = this.listed.reduce((sum, { region }) => sum + region.count, 0);
    return [
      `${count(shown)} of ${counted(all, "region", "regions")}${this.isComplete ? "" : " (there may be more)"}`,
      counted(readings, "reading", "readings"),
      this.orderText(),
    ].join(" · ");
  }

  orderText() {
    const unknown = this.shown.filter(({ isUnknown }) => isUnknown).length;
    const isNow = this.shown.every(({ region }) => isTold(region));
    if (isNow) return "now is the newest reading of each device";
    if (!this.isByAverage || unknown === 0) return "the average is that of the newest hour with readings";
    return `${counted(unknown, "average is", "averages are")} not known`;
  }

  get isByAverage() {
    return BY_AVERAGE.includes(this.order.value);
  }

  tick() {
    for (const card of this.listed) card.tick();
  }

  /** Asks for the hours of the cards that need it, a few at a time. */
  draw() {
    while (this.isOpen && !this.stale && this.asking < AT_ONCE) {
      const card = this.next();
      if (!card) return;
      this.ask(card);
    }
  }

  /** The card to ask for: one in view before those that only the order needs. */
  next() {
    const inView = this.shown.find(({ isDue, isVisible }) => isDue && isVisible);
    return inView ?? (this.isByAverage ? this.shown.find(({ needsHour }) => needsHour) : undefined);
  }

  async ask(card) {
    this.asking += 1;
    await card.draw();
    this.asking -= 1;
    if (this.isByAverage) this.arrangeSoon();
    this.draw();
  }
}
