// The form of a region's limits.

import { ofRegion, send } from "./api.js";
import { changePart, field, form, numberOf, textOf } from "./forms.js";
import { button } from "./rangebar.js";
import { has } from "./routes.js";

const FIELDS = {
  low_c: ["Lowest (°C)", { inputMode: "text" }, null],
  high_c: ["Highest (°C)", { inputMode: "text" }, null],
  for: ["For at least", { placeholder: "20m" }, "How long outside is an excursion: 90s, 20m, 1h."],
  plausible_low_c: ["Not counted below (°C)", { inputMode: "text" }, null],
  plausible_high_c: ["Not counted above (°C)", { inputMode: "text" }, "Beyond these a reading is refused as implausible."],
};

/** The limits of a region in a part that opens. `changed` is called when the node has
 * taken others. */
export class LimitsForm {
  constructor(name, changed) {
    this.name = name;
    this.changed = changed;
    this.fields = Object.fromEntries(Object.entries(FIELDS).map(([key, of]) => [key, field(...of)]));
    this.form = form(Object.values(this.fields), "Set the limits", () => this.put(),
      [button("Remove the limits", () => this.form.run(() => this.remove()))]);
    this.node = changePart("Change the limits", this.form, { hidden: !has("/v1/regions/{region}/limits", "put") });
    this.shown = null;
  }

  /** Fills in the limits that are set, unless somebody writes there. */
  show(limits) {
    const text = JSON.stringify(limits);
    if (!limits || this.shown === text || this.node.contains(document.activeElement)) return;
    this.shown = text;
    for (const [key, { input }] of Object.entries(this.fields)) input.value = limits[key] ?? "";
  }

  async put() {
    const read = (key) => (key === "for" ? textOf : numberOf)(this.fields[key]);
    const limits = Object.fromEntries(Object.keys(FIELDS).map((key) => [key, read(key)]));
    await send("PUT", ofRegion(this.name, "/limits"), limits);
    this.changed();
    return "The limits are set.";
  }

  async remove() {
    await send("DELETE", ofRegion(this.name, "/limits"));
    for (const { input } of Object.values(this.fields)) input.value = "";
    this.changed();
    return "The limits are removed.";
  }
}
