// The figures of a region or device over a time, with their names.

import { celsius, count, instant, setText } from "./format.js";
import { terms } from "./tables.js";

const OF_REGION = [
  ["Average of the readings", (r) => celsius(r.average_c)],
  ["Average of the devices", (r) => celsius(r.device_average_c)],
  ["Minimum", (r) => celsius(r.min_c)],
  ["Maximum", (r) => celsius(r.max_c)],
  ["Standard deviation", (r) => celsius(r.standard_deviation_c)],
  ["Median (p50)", (r) => celsius(r.p50_c)],
  ["p95", (r) => celsius(r.p95_c)],
  ["p99", (r) => celsius(r.p99_c)],
  ["Readings", (r) => count(r.count)],
  ["Devices", (r) => count(r.devices)],
  ["Late", (r) => count(r.late)],
  ["Duplicates", (r) => count(r.duplicates)],
  ["Conflicts", (r) => count(r.conflicts)],
  ["Corrected", (r) => count(r.corrected)],
  ["Oldest reading", (r) => instant(r.oldest)],
  ["Newest reading", (r) => instant(r.newest)],
  ["Not counted yet (requests)", (r) => count(r.unfolded_entries)],
  ["Quarantine (readings)", (r) => count(r.quarantined_readings)],
  ["Revision", (r) => count(r.revision)],
];

/** A list of a region's figures, which `show` fills. */
export class Figures {
  constructor() {
    this.node = terms([]);
  }

  show(figures) {
    // What an older node does not count is not there.
    const shown = OF_REGION.filter(([name]) => name !== "Corrected" || figures.corrected !== undefined);
    if (this.node.children.length !== shown.length) {
      this.node.replaceChildren(...terms(shown.map(([name]) => [name, "–"])).children);
    }
    shown.forEach(([, text], index) => setText(this.node.children[index].lastElementChild, text(figures)));
  }
}
