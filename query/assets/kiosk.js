// The wall: all regions in large numbers, the worst first, without controls. What is
// old is said to be old; after an outage it goes on by itself.

import { getAll, now } from "./api.js";
import { age, counted, element, freshness, instant, setText } from "./format.js";
import { silentNodes } from "./senders.js";
import { outsideOf, rank } from "./trouble.js";

/** How long after the last answer the figures are old. */
const OLD_MS = 60_000;

/** How much wider than high a tile looks good. */
const TILE_RATIO = 1.7;

/** What a region is that has no trouble: nothing says so of one without limits. */
function orderOf({ low_c: low, high_c: high }) {
  if (low === undefined) return "reports";
  return low === null && high === null ? "no limits set" : "in order";
}

/** In how many columns `count` tiles are largest. */
function columnsFor(count, width, height) {
  const size = (columns) => Math.min(width / columns / TILE_RATIO, height / Math.ceil(count / columns));
  const choices = Array.from({ length: count }, (_, index) => index + 1);
  return choices.reduce((best, columns) => (size(columns) > size(best) ? columns : best), 1);
}

const number = (value) => (value == null ? "–" : value.toFixed(1));

export class Kiosk {
  constructor(main) {
    this.title = "Wall";
    this.tiles = new Map();
    this.answeredAt = null;
    this.clock = element("p", { className: "clock" });
    this.words = element("p", { className: "words" });
    this.list = element("ul", { className: "tiles" });
    document.documentElement.classList.add("kiosk");
    main.replaceChildren(element("h1", { className: "hidden", textContent: "All regions" }),
      element("div", { className: "top" }, this.words, this.clock), this.list,
      element("p", { className: "leave" }, element("a", { href: "#/", textContent: "Leave the wall" })));
    this.ticking = setInterval(() => this.tick(), 1000);
    this.keepAwake = () => this.wake();
    document.addEventListener("visibilitychange", this.keepAwake);
    this.resized = () => this.layOut();
    addEventListener("resize", this.resized);
    this.wake();
    this.tick();
  }

  close() {
    clearInterval(this.ticking);
    document.removeEventListener("visibilitychange", this.keepAwake);
    removeEventListener("resize", this.resized);
    document.documentElement.classList.remove("kiosk");
    this.lock?.release().catch(() => {});
  }

  /** Keeps the screen on, where the browser can. */
  async wake() {
    if (document.hidden || !navigator.wakeLock) return;
    try {
      this.lock = await navigator.wakeLock.request("screen");
    } catch {
      // Then the screen does what it is set to.
    }
  }

  async load() {
    return { answer: await getAll("v1/regions", "regions") };
  }

  show({ answer }, keptAt = null) {
    this.answeredAt = keptAt ?? (answer.stale ? Date.parse(answer.as_of) - (now() - Date.now()) : Date.now());
    this.answer = answer;
    const order = (a, b) => rank(a) - rank(b) || (a.region < b.region ? -1 : 1);
    const nodes = answer.regions.toSorted(order).map((region) => this.tile(region));
    const isInOrder = nodes.length === this.list.children.length && nodes.every((node, index) => this.list.children[index] === node);
    if (!isInOrder) this.list.replaceChildren(...nodes);
    this.layOut();
    this.tick();
  }

  layOut() {
    const columns = columnsFor(this.list.children.length, innerWidth, innerHeight);
    this.list.style.setProperty("--columns", columns);
  }

  tile(region) {
    let tile = this.tiles.get(region.region);
    if (!tile) {
      const parts = ["name", "number", "extreme", "state"].map((className) => element("span", { className }));
      tile = { node: element("li", {}, ...parts), parts };
      this.tiles.set(region.region, tile);
    }
    const [name, value, extreme, state] = tile.parts;
    const latest = region.latest_average_c;
    const outside = outsideOf(region);
    const isOld = latest === null || (latest === undefined && freshness(now() - Date.parse(region.newest ?? 0)) !== "fresh");
    setText(name, region.region);
    setText(value, `${number(outside?.value ?? latest)} °C`);
    setText(extreme, latest == null ? "" : outside ? `${outside.device} · average ${number(latest)}` : `${number(region.coldest_c)} to ${number(region.warmest_c)}`);
    const silent = region.silent_devices > 0 ? `${counted(region.silent_devices, "device", "devices")} silent` : "";
    const lack = region.behind_senders > 0 ? "readings may be missing" : "";
    const last = region.newest ? `last ${age(now() - Date.parse(region.newest))}` : "no reading";
    setText(state, [outside && `${outside.side} ${outside.limit} °C`, silent, lack, isOld && last].filter(Boolean).join(" · ") || orderOf(region));
    tile.node.dataset.state = outside ? "outside" : isOld ? "old" : silent || lack ? "silent" : "good";
    return tile.node;
  }

  /** The clock goes on whatever happens to the figures; so what is old is seen. */
  tick() {
    setText(this.clock, instant(now()));
    const isOld = this.answeredAt !== null && Date.now() - this.answeredAt > OLD_MS;
    this.list.classList.toggle("old", isOld);
    if (isOld) {
      setText(this.words, `OLD: no answer for ${age(Date.now() - this.answeredAt).replace(" ago", "")}. These figures are of ${instant(this.answeredAt)}.`);
    } else if (this.answer) {
      const outside = this.answer.regions.filter(outsideOf).length;
      const silent = this.answer.regions.reduce((sum, { silent_devices: some = 0 }) => sum + some, 0);
      setText(this.words, [counted(this.answer.regions.length, "region", "regions"), outside ? `${outside} outside limits` : "",
        silent ? `${counted(silent, "device", "devices")} silent` : "", ...silentNodes(this.answer)].filter(Boolean).join(" · "));
    } else {
      setText(this.words, "Waiting for the first answer");
    }
    this.words.classList.toggle("trouble", isOld);
  }
}
