// What the node keeps, for how long, and what that takes of its disk.

import { access } from "./access.js";
import { get } from "./api.js";
import { Exchange } from "./exchange.js";
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

/** What the node says of access, and of this session. */
function accessFacts() {
  const { auth, who, until, scopes } = access();
  if (auth !== "on") return [];
  return [["Access control", "on"], ["Logged in as", who], ["Until", instant(until)], ["The session reads", scopes.join(", ")]];
}

const OPEN = "Access control is off: anyone who reaches this address may read and write.";
const BACKUPS = "This node makes none by itself, and does not know when the last one was made: the command "
  + "isotherm-backup copies the regions database and the journal while the service runs, and its timer or cron does so "
  + "every night. The directory of the backups says when the last one was. A backup has to hold at most the two sizes above.";

export class Status {
  constructor(main) {
    this.title = "Status";
    this.words = element("p", { textContent: "Loading" });
    this.openness = element("p", { className: "about", textContent: OPEN });
    this.access = element("div");
    this.facts = element("div");
    this.exchange = new Exchange();
    main.replaceChildren(element("h1", { textContent: "Status" }), this.words, this.facts, this.exchange.node,
      element("h2", { textContent: "Access" }), this.openness, this.access,
      element("h2", { textContent: "Backups" }), element("p", { className: "about", textContent: BACKUPS }));
  }

  close() {}

  async load() {
    const answer = await get("v1/status");
    return { answer, exchange: await this.exchange.load(answer) };
  }

  show({ answer, exchange }) {
    this.exchange.show(exchange);
    setText(this.words, retentionInWords(answer) ?? "");
    this.openness.hidden = access().auth !== "off";
    const known = FIELDS.filter(([key]) => answer[key] !== undefined);
    const facts = known.map(([key, name, text]) => [name, answer[key] === null ? "not known yet" : text(answer[key])]);
    replaceWith(this.facts, terms(facts));
    replaceWith(this.access, terms(accessFacts()));
  }
}
