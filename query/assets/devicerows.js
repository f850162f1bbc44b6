// Rows of devices: the silent ones are said to be so.

import { now } from "./api.js";
import { age, celsius, count, duration, element, moment } from "./format.js";
import { deviceLink, numbers } from "./tables.js";

/** The state comes first: on a narrow screen, the columns behind it are scrolled to. */
export const DEVICE_COLUMNS = ["Device", "State", numbers("Latest"), "Measured", ...["Readings", "Average", "Minimum", "Maximum"].map(numbers), "First seen"];

/** What a device's record says of its silence. A node that does not know is silent
 * about it. */
export function stateOf({ silent, silent_after_ms: after, newest_age_ms: ago }) {
  if (silent) return element("strong", { className: "trouble", textContent: `silent for ${duration(ago)}` });
  if (silent === undefined) return "–";
  return after == null ? "may be silent" : "reports";
}

/** The rows of a table with `DEVICE_COLUMNS`. */
export function deviceRows(devices) {
  return devices.map((device) => Object.assign([
    deviceLink(device.device_id), stateOf(device), celsius(device.temperature_c), age(now() - Date.parse(device.newest)),
    count(device.count), celsius(device.average_c), celsius(device.min_c), celsius(device.max_c), moment(device.first_seen),
  ], { className: device.silent ? "silent" : "" }));
}
