// The controls of the time that a view shows. What is chosen is in the address, so
// that it can be kept and sent, and the browser's way back undoes it.

import { now } from "./api.js";
import { element, setText } from "./format.js";
import { queryOf, RANGES, STEPS } from "./ranges.js";
import { dateAfter, dateOf, zone } from "./zone.js";

export function button(textContent, onclick, properties = {}) {
  return element("button", { type: "button", textContent, onclick, ...properties });
}

export function option(value, textContent) {
  return element("option", { value, textContent });
}

/** The controls for a view at `address`, like `#/region/hall`. */
export class RangeBar {
  constructor(address, ...others) {
    this.address = address;
    /** What the address may have besides the time. */
    this.kept = new URLSearchParams();
    this.range = element("select", {}, ...Object.entries(RANGES).map(([value, [text]]) => option(value, text)));
    this.other = option("", "as below");
    this.zone = element("span");
    this.day = element("input", { type: "date" });
    this.step = element("select", {}, option("auto", "automatic"), ...Object.keys(STEPS).map((step) => option(step, step)));
    this.range.onchange = () => this.range.value && this.choose({ range: this.range.value });
    this.day.onchange = () => this.day.value && this.choose({ day: this.day.value });
    this.step.onchange = () => this.choose({ ...this.chosen, step: this.step.value });
    this.later = button("Later", () => this.move(1));
    this.node = element("div", { className: "tools" },
      element("label", {}, "Range", this.range), button("Today", () => this.choose({ range: "today" })),
      button("Yesterday", () => this.choose({ range: "yesterday" })), element("label", {}, this.zone, this.day),
      element("label", {}, "Step", this.step),
      element("div", { className: "row" }, button("Earlier", () => this.move(-1)), this.later,
        button("Closer", () => this.scale(0.5)), button("Wider", () => this.scale(2))),
      ...others);
  }

  /** Shows what an address chooses. */
  set(chosen) {
    setText(this.zone, `Day (${zone()})`);
    this.chosen = chosen;
    const isOther = chosen.day !== null || chosen.from !== null;
    if (isOther && !this.other.isConnected) this.range.prepend(this.other);
    if (!isOther) this.other.remove();
    this.range.value = isOther ? "" : chosen.range;
    this.step.value = chosen.step;
  }

  /** Takes the time that is shown: what is near to it is chosen from there. */
  take(shown) {
    this.shown = shown;
    for (const choice of this.step.options) {
      choice.disabled = choice.value !== "auto" && !shown.usable.includes(choice.value);
    }
    this.later.disabled = shown.end > now();
    this.day.max = dateOf(now());
    // Who types into the field is left alone.
    if (document.activeElement !== this.day) this.day.value = dateOf(Math.min(shown.end - 1, now()));
  }

  choose(change) {
    const chosen = { range: "24h", step: this.chosen.step, day: null, from: null, to: null, ...change };
    const query = queryOf(chosen);
    for (const [key, value] of this.kept) query.append(key, value);
    location.hash = `${this.address}?${query}`;
  }

  /** The same width, just before or after. */
  move(direction) {
    if (!this.shown) return;
    const { begin, end, wide, date } = this.shown;
    if (date) return void this.choose({ day: dateAfter(date, direction) });
    if (this.chosen.from !== null) {
      return void this.choose({ from: begin + direction * wide, to: end + direction * wide });
    }
    const to = end + direction * wide;
    this.choose({ range: this.chosen.range, to: to >= now() ? null : Math.max(this.shown.step_ms, to) });
  }

  /** The same middle, and another width. */
  scale(factor) {
    if (!this.shown) return;
    const { begin, end } = this.shown;
    const half = Math.max(60_000, ((end - begin) * factor) / 2);
    const middle = (begin + end) / 2;
    const to = Math.min(middle + half, Math.max(end, now()));
    this.zoom({ from: Math.max(0, to - 2 * half), to });
  }

  /** Chooses a time to the minute; without one, the last day. */
  zoom(time) {
    if (!time) return void this.choose({});
    const [from, to] = [Math.floor(time.from / 60_000) * 60_000, Math.ceil(time.to / 60_000) * 60_000];
    this.choose({ from, to: Math.max(to, from + 60_000) });
  }
}
