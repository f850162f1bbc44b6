// The sources: devices that are read by a mapping. How much of what they sent was counted, and
// what was not, and why.

import { get, getAll, orProblem } from "./api.js";
import { count, counted, element, moment, setText } from "./format.js";
import { may } from "./routes.js";
import { refusals, Source } from "./source.js";
import { deviceLink, numbers, regionLink, replaceWith, table } from "./tables.js";

const ABOUT = "A source is a kind of device that can't send readings as this node takes them. A mapping says how its messages are read. "
  + "Ignored are values that are no temperature of a device, void are those by which a sensor says that it measured nothing. Most senders read no answer, so what was refused is seen here.";
const NONE = "No source is set up, and nothing has come for one. PUT /v1/sources/<source> makes one, or the variable sources.";
const COLUMNS = ["Source", ...["Kept", "Without time", "Ignored", "Void", "Refused"].map(numbers), "Why refused", numbers("Unknown devices"), "Newest reading"];

/** The reasons of what was refused, the most frequent first. */
function reasons({ refused }) {
  const pairs = Object.entries(refused).toSorted(([, a], [, b]) => b - a);
  return pairs.length === 0 ? "–" : pairs.map(([reason, some]) => `${reason} ${count(some)}`).join(", ");
}

/** What looks wrong and was counted all the same. */
function hint({ device_id: device, region, detail }) {
  const place = region === null ? [] : [" in ", regionLink(region)];
  return element("li", {}, deviceLink(device), ...place, `: ${detail}`);
}

export class Sources {
  constructor(main, _name, query, refresh) {
    this.title = "Sources";
    this.refresh = refresh;
    /** The parts of the sources, by their names. */
    this.parts = new Map();
    this.wanted = query.get("source");
    /** Names for the fields of regions, which are asked for once. */
    this.regions = element("datalist", { id: "known-regions" });
    this.asked = null;
    this.summary = element("p", { textContent: "Loading" });
    this.hints = element("ul", { className: "notice hints", hidden: true });
    this.rows = element("div");
    this.list = element("div");
    main.replaceChildren(element("h1", { textContent: "Sources" }), element("p", { className: "quiet about", textContent: ABOUT }),
      this.summary, this.hints, this.rows, this.list, this.regions);
  }

  close() {}

  /** Opens the part of the source that the address names. */
  navigate(query) {
    this.wanted = query.get("source");
    this.openWanted();
  }

  openWanted() {
    const part = this.parts.get(this.wanted);
    if (!part) return;
    this.wanted = null;
    part.open();
  }

  async load() {
    const open = [...this.parts.values()].filter((part) => part.isOpen);
    if (open.length > 0) this.asked ??= this.askForRegions();
    const [answer, ...unknown] = await Promise.all([get("v1/sources"), ...open.map((part) => part.load())]);
    return { answer, unknown: open.map(({ name }, index) => [name, unknown[index]]) };
  }

  async askForRegions() {
    if (!may("/v1/regions")) return;
    const { regions, problem } = await orProblem(() => getAll("v1/regions", "regions"));
    // Without them, one types the name; and it is asked again.
    if (problem) this.asked = null;
    else regions.forEach(({ region }) => this.addRegion(region));
  }

  addRegion(name) {
    const isThere = [...this.regions.children].some(({ value }) => value === name);
    if (!isThere) this.regions.append(element("option", { value: name }));
  }

  show({ answer, unknown }) {
    const { sources, hints: told } = answer;
    setText(this.summary, sources.length === 0 ? NONE : this.words(sources));
    replaceWith(this.rows, ...(sources.length ? [table("Sources", COLUMNS, sources.map((record) => this.row(record)))] : []));
    const hints = told.map((one) => hint(one));
    this.hints.hidden = hints.length === 0;
    replaceWith(this.hints, ...hints);
    this.showParts(sources, unknown);
    this.openWanted();
  }

  words(sources) {
    const sum = (of) => sources.reduce((total, record) => total + of(record), 0);
    return [counted(sources.length, "source", "sources"), `${count(sum(refusals))} refused`,
      counted(sum((record) => record.unknown_devices), "unknown device", "unknown devices")].join(" · ");
  }

  row(record) {
    const { source, kept, time_assumed: assumed, ignored, void: voids, unknown_devices: unknown, newest, error } = record;
    // A click on the address that is open opens the part, too.
    const link = element("a", { href: `#/sources?source=${encodeURIComponent(source)}`, textContent: source, onclick: () => this.parts.get(source)?.open() });
    const why = error ? element("span", { className: "long failed", textContent: "Its mapping can't be used" })
      : element("span", { className: "long", textContent: reasons(record) });
    return [link, count(kept), count(assumed), count(ignored), count(voids), count(refusals(record)),
      why, count(unknown), moment(newest)];
  }

  /** Parts stay as they are, open or with what somebody typed into them, while their sources
   * are there. */
  showParts(sources, unknown) {
    // Any word may be the name of a source, so they are no keys of an object.
    const answers = new Map(unknown);
    const names = new Set(sources.map(({ source }) => source));
    for (const [name, part] of this.parts) {
      if (names.has(name)) continue;
      part.node.remove();
      this.parts.delete(name);
    }
    sources.forEach((record, index) => {
      const part = this.parts.get(record.source) ?? this.make(record.source);
      if (!part.node.isConnected) this.list.insertBefore(part.node, this.list.children[index] ?? null);
      part.show(record, answers.get(record.source));
    });
  }

  make(name) {
    const changed = (region) => {
      this.addRegion(region);
      this.refresh();
    };
    const part = new Source(name, { regions: this.regions, opened: this.refresh, changed });
    this.parts.set(name, part);
    return part;
  }
}
