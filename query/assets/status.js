// What the node keeps, for how long, and what that takes of its disk.

import { get } from "./api.js";
import { bytes, count, duration, element, instant } from "./format.js";
import { replaceWith, terms } from "./tables.js";

/** The retention in a sentence. */
export function retentionInWords({ retention_ms: ms }) {
  if (ms === undefined) return null;
  if (ms === null || ms === 0) return "Every single reading is kept for ever.";
  return `Single readings are kept for ${duration(ms)}. Older ones are deleted; the averages, minima and maxima of regions stay.`;
}

/** The fields that are known here, in their order, with their names. */
const FIELDS = [
  ["oldest_reading", "Oldest single reading", instant],
  ["readings", "Single readings", count],
  ["regions", "Regions", count],
  ["devices", "Devices", count],
  ["bytes", "Both stores", bytes],
  ["database_bytes", "The regions database", bytes],
  ["journal_bytes", "The journal", bytes],
  ["growth_bytes_per_day", "Growth a day", bytes],
  ["forecast_bytes", "In a year, at this rate", bytes],
  ["flash_bytes_per_day", "Written to the disk a day", bytes],
  ["time_zone", "Zone of the node", String],
  ["void_values", "Never counted", (values) => (values.length ? values.map((value) => `${value} °C`).join(", ") : "none set")],
  ["version", "Release", String],
];

export class Status {
  constructor(main) {
    this.title = "Status";
    this.words = element("p", { textContent: "Loading" });
    this.facts = element("div");
    main.replaceChildren(element("h1", { textContent: "Status" }), this.words, this.facts);
  }

  close() {}

  async load() {
    return { answer: await get("v1/status") };
  }

  show({ answer }) {
    this.words.textContent = retentionInWords(answer) ?? "";
    const known = FIELDS.filter(([key]) => answer[key] !== undefined);
    replaceWith(this.facts, terms(known.map(([key, name, text]) => [name, answer[key] === null ? "not known" : text(answer[key])])));
  }
}
