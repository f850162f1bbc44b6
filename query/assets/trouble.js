// What is wrong in a region at this moment, and how urgent it is. It is the same on
// its card, in the summary and on the wall.

import { celsius, counted, element } from "./format.js";
import { deviceLink } from "./tables.js";

/** How many names are said. */
const NAMES_MAX = 3;

/** Whether the node says what is now. */
export function isTold(region) {
  return region.latest_average_c !== undefined;
}

/** On which side of its limits a region is, and its worst reading there. */
export function outsideOf({ within_limits: isWithin, high_c, low_c, warmest_c, coldest_c, warmest_device, coldest_device }) {
  if (isWithin !== false) return null;
  const isAbove = high_c != null && warmest_c != null && warmest_c > high_c;
  return isAbove ? { side: "above", limit: high_c, value: warmest_c, device: warmest_device }
    : { side: "below", limit: low_c, value: coldest_c, device: coldest_device };
}

/** How urgent a region is; the lower, the worse: outside its limits, without any
 * device, with a silent one, lacking readings of a node that sends here, and the others. */
export function rank(region) {
  if (outsideOf(region)) return 0;
  if (region.latest_average_c === null && region.newest != null) return 1;
  if (region.silent_devices > 0) return 2;
  return region.behind_senders > 0 ? 3 : 4;
}

/** Which nodes that send readings of a region are silent or behind, in words; empty if none is. */
export function lackOf({ behind_senders: nodes = 0, behind }) {
  if (!nodes) return "";
  const named = behind?.slice(0, NAMES_MAX) ?? [];
  if (named.length === 0) return `${counted(nodes, "node that sends", "nodes that send")} its readings ${nodes === 1 ? "is" : "are"} silent or behind`;
  const more = nodes - named.length;
  return `readings from ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""} may be missing`;
}

/** What is wrong, as items of a list with links to the devices. */
export function troublesOf(region) {
  const made = [];
  const outside = outsideOf(region);
  if (outside) {
    made.push(element("li", { className: "trouble" },
      `${outside.side} the limit of ${outside.limit} °C: ${celsius(outside.value)}`));
  }
  const { silent_devices: count = 0, silent = [] } = region;
  if (count > 0) {
    const named = silent.slice(0, NAMES_MAX).flatMap((name, index) => [index ? ", " : "", deviceLink(name)]);
    const more = count > NAMES_MAX ? [` and ${count - Math.min(NAMES_MAX, silent.length)} more`] : [];
    made.push(element("li", { className: "trouble" }, `${counted(count, "device", "devices")} silent: `, ...named, ...more));
  }
  const lack = lackOf(region);
  if (lack) made.push(element("li", { className: "trouble lack", textContent: lack }));
  return made;
}
