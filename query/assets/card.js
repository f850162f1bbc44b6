// The card of a region: what its devices measure now, a sparkline, and how fresh it
// is. Where no device reports, nothing is measured now, and no temperature is shown. While
// the node does not tell what is now, it is the average of the newest hour, marked as that.

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
    this.hourWords = "";
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

  /** The number that it shows: none where no device reports. */
  get current() {
    return this.isQuiet ? null : this.region.latest_average_c ?? this.hour;
  }

  /** Whether it had readings, and no device reports now. */
  get isQuiet() {
    return this.region.latest_devices === 0 && this.region.newest != null;
  }

  /** Whether its number is the average of its newest hour. */
  get isHour() {
    return this.region.latest_average_c == null && !this.isQuiet;
  }

  /** What stands in the place of the number. */
  get headline() {
    if (!this.isQuiet) return celsius(this.current);
    return this.region.silent_devices > 0 ? "silent" : "no device here";
  }

  /** Whether to ask for its hours: they have changed, and since the last list it
   * has not failed. */
  get isDue() {
    return this.region.newest != null && this.revision !== this.region.revision
      && !this.isAsked && !this.hasFailed;
  }

  /** Whether its number is only known from its hours. */
  get needsHour() {
    return this.isDue && this.isHour;
  }

  /** Whether it has an average that is not known here. */
  get isUnknown() {
    return this.region.newest != null && this.current == null && !this.isQuiet;
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

  /** The newest reading of each device. Where none reports, it says so, and when the last
   * reading was; an hour's average from before is marked as old. */
  showNow(region) {
    const isOld = region.latest_average_c == null;
    this.node.classList.toggle("without-data", this.isQuiet);
    this.node.classList.toggle("old", this.isHour && region.newest != null);
    if (!this.isHour) {
      setText(this.average, this.headline);
      this.sayNow();
    } else if (this.hour !== null) {
      setText(this.average, this.headline);
      this.say(this.failure ?? this.hourWords, this.failure !== null);
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
    this.hourWords = hour ? `hour of ${instant(hour.from).slice(0, 16)}${devices}` : "no counted reading";
    setText(this.average, this.headline);
    if (this.isHour) {
      this.say(this.hourWords);
    } else {
      this.sayNow();
      this.what.classList.toggle("when", !this.isQuiet);
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
    setText(this.average, this.headline);
    this.say(this.failure, true);
  }

  /** How many devices the number is of, or when the last reading was; unless the hours below
   * it have failed. */
  sayNow() {
    const { latest_devices: devices, newest } = this.region;
    const words = this.isQuiet ? `last reading ${instant(newest).slice(0, 16)}` : counted(devices, "device", "devices");
    this.say(this.failure ?? words, this.failure !== null);
  }

  say(words, isFailure = false) {
    setText(this.what, words);
    this.what.classList.toggle("failed", isFailure);
    if (isFailure) this.what.classList.remove("when");
  }
}
