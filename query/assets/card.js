// The card of a region: what its devices measure now, a sparkline, and how fresh it
// is. A node that does not tell what is now has the average of the newest hour.

import { get, isAddressable, now, ofRegion } from "./api.js";
import { celsius, clock, counted, element, HOUR, instant, markFreshness, setText } from "./format.js";
import { drawn, spark } from "./spark.js";
import { deviceLink, replaceWith } from "./tables.js";
import { isTold, rank, troublesOf } from "./trouble.js";

const SPARK_HOURS = 24;

/** The path of the hours up to the newest reading. */
function hoursUpTo(region) {
  const to = (Math.floor(Date.parse(region.newest) / HOUR) + 1) * HOUR;
  const from = Math.max(0, to - SPARK_HOURS * HOUR);
  return ofRegion(region.region, "/windows", { from, to, step: "1h" });
}

/** A region in the list. What fails for it leaves the others alone. */
export class Card {
  constructor(name) {
    this.name = name;
    /** What the list says of it. */
    this.region = null;
    /** The average of its newest hour, and the revision that this is of. */
    this.hour = null;
    this.revision = null;
    this.isVisible = false;
    this.isAsked = false;
    /** Whether asking failed since the last list, and why the hours it has are not
     * those of now: that stays until they come. */
    this.hasFailed = false;
    this.failure = null;
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
    this.link = element("a", { className: "face", ...(isAddressable(this.name) && { href }) },
      element("span", { className: "name", textContent: this.name }), this.average, this.what, svg, this.fresh);
    this.extremes = element("p", { className: "extremes", hidden: true });
    this.trouble = element("ul", { className: "troubles", hidden: true });
    this.node = element("li", { className: "card" }, this.link, this.extremes, this.trouble);
    this.node.dataset.region = this.name;
  }

  /** When its newest reading was measured. */
  get newest() {
    return this.region.newest == null ? -Infinity : Date.parse(this.region.newest);
  }

  /** The number that it shows. */
  get current() {
    return this.region?.latest_average_c ?? this.hour;
  }

  /** Whether to ask for its hours: they have changed, and since the last list it
   * has not failed. */
  get isDue() {
    return this.region.newest != null && this.revision !== this.region.revision
      && !this.isAsked && !this.hasFailed;
  }

  /** Whether its number is only known from its hours. */
  get needsHour() {
    return this.isDue && this.region.latest_average_c == null;
  }

  /** Whether it has an average that is not known here. */
  get isUnknown() {
    return this.region.newest != null && this.current == null;
  }

  /** How urgent it is: the lower, the worse. */
  get rank() {
    return rank(this.region);
  }

  /** Takes what a new list says of the region. */
  update(region) {
    this.region = region;
    this.hasFailed = false;
    if (isTold(region)) this.showNow(region);
  }

  tick() {
    markFreshness(this.fresh, this.region.newest, now());
    if (this.region.newest == null) this.showHours([]);
  }

  /** The newest reading of each device. Where none reports, the number that is shown
   * is marked as old. */
  showNow(region) {
    const { latest_average_c: average, latest_devices: devices } = region;
    const isOld = average == null;
    this.node.classList.toggle("old", isOld && region.newest != null);
    if (!isOld) {
      setText(this.average, celsius(average));
      this.sayNow(devices);
    }
    this.what.classList.toggle("when", !isOld && this.failure === null);
    const of = (words, value, id, at) => [`${words} ${celsius(value)} `, deviceLink(id), ` ${clock(at, now())}`];
    this.extremes.hidden = isOld;
    if (!isOld) {
      replaceWith(this.extremes,
        element("span", {}, ...of("▲", region.warmest_c, region.warmest_device, region.warmest_at)),
        element("span", {}, ...of("▼", region.coldest_c, region.coldest_device, region.coldest_at)));
    }
    const troubles = troublesOf(region);
    this.trouble.hidden = troubles.length === 0;
    this.node.classList.toggle("outside", region.within_limits === false);
    replaceWith(this.trouble, ...troubles);
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
    this.failure = null;
    const hour = windows.findLast((window) => window.count > 0);
    this.hour = hour?.average_c ?? null;
    const devices = hour?.devices == null ? "" : ` · ${counted(hour.devices, "device", "devices")}`;
    const words = hour ? `hour of ${instant(hour.from).slice(0, 16)}${devices}` : "no counted reading";
    if (this.region.latest_average_c == null) {
      setText(this.average, celsius(this.hour));
      this.say(words);
    } else {
      this.sayNow(this.region.latest_devices);
      this.what.classList.add("when");
    }
    const [line, dots] = spark(windows.map((window) => window.average_c));
    this.line.setAttribute("d", line);
    this.dots.setAttribute("d", dots);
  }

  /** Says what failed, and keeps what is shown. */
  showFailure(error) {
    // Without a status, it is not the service's failure but a mistake here.
    if (error.status === undefined) console.error(error);
    this.hasFailed = true;
    this.failure = `No answer: ${error.message}`;
    setText(this.average, celsius(this.current));
    this.say(this.failure, true);
  }

  /** How many devices the number is of, unless the hours below it have failed. */
  sayNow(devices) {
    this.say(this.failure ?? counted(devices, "device", "devices"), this.failure !== null);
  }

  say(words, isFailure = false) {
    setText(this.what, words);
    this.what.classList.toggle("failed", isFailure);
    if (isFailure) this.what.classList.remove("when");
  }
}
