// What the node keeps, for how long, and what that takes of its disk.

import { get } from "./api.js";
import { bytes, count, counted, DAY, duration, element, instant, setText } from "./format.js";
import { replaceWith, terms } from "./tables.js";

/** The retention in a sentence. */
export function retentionInWords({ retention_ms: ms }) {
  if (ms === undefined) return null;
  if (ms === null || ms === 0) return "Every single reading is kept.";
  return `Single readings are kept for ${ms % DAY === 0 ? counted(ms / DAY, "day", "days") : duration(ms)}; averages stay.`;
}

/** The fields that are known here, in their order, with their names. */
const FIELDS = [
  ["oldest_reading", "Oldest single reading", instant],
  ["newest", "Newest reading", instant],
  ["readings", "Single readings", count],
  ["regions", "Regions", count],
  ["devices", "Devices", count],
  ["readings_per_day", "Readings a day", count],
  ["database_bytes", "The regions database", bytes],
  ["database_free_bytes", "Of these, free for what comes", bytes],
  ["ledger_bytes", "Of these, single readings", bytes],
  ["journal_bytes", "The journal", bytes],
  ["journal_entries", "Requests that wait there", count],
  ["growth_bytes_per_day", "Growth a day", bytes],
  ["forecast_bytes_in_a_year", "In a year, at this rate", bytes],
  ["written_bytes_per_day", "Written to the disk a day", bytes],
  ["time_zone", "Zone of the node", String],
  ["void_values", "Never counted", (values) => (values.length ? values.map((value) => `${value} °C`).join(", ") : "none set")],
  ["version", "Release", String],
];

const BACKUPS = "This node makes none by itself, and does not know when the last one was made: the command "
  + "isotherm-backup copies the regions database and the journal while the service runs, and its timer or cron does so "
  + "every night. The directory of the backups says when the last one was. A backup has to hold at most the two sizes above.";

/** Who may read and write at this node. */
function accessInWords() {
  return "Anyone who reaches this address can read and write.";
}

export class Status {
  constructor(main) {
    this.title = "Status";
    this.words = element("p", { textContent: "Loading" });
    this.facts = element("div");
    main.replaceChildren(element("h1", { textContent: "Status" }), this.words, this.facts,
      element("h2", { textContent: "Access" }), element("p", { className: "about", textContent: accessInWords() }),
      element("h2", { textContent: "Backups" }), element("p", { className: "about", textContent: BACKUPS }));
  }

  close() {}

  async load() {
    return { answer: await get("v1/status") };
  }

  show({ answer }) {
    setText(this.words, retentionInWords(answer) ?? "");
    const known = FIELDS.filter(([key]) => answer[key] !== undefined);
    replaceWith(this.facts, terms(known.map(([key, name, text]) => [name, answer[key] === null ? "not known yet" : text(answer[key])])));
  }
}
