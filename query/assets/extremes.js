// From a device's minimum or maximum to the form that takes that reading back. The reading is
// searched for when one asks, not with every answer.

import { getAll, ofDevice } from "./api.js";
import { DAY, element, HOUR } from "./format.js";
import { button } from "./rangebar.js";
import { has, may } from "./routes.js";

const PATTERN = "/v1/devices/{device_id}";
const NOT_FOUND = "There is no such reading to correct: it has changed since, or the single readings of that time are deleted.";

/** The windows of a time (Unix milliseconds) in steps of UTC. */
async function windowsOf(device, { from, to }, step, step_ms) {
  const whole = { from: Math.floor(from / step_ms) * step_ms, to: Math.ceil(to / step_ms) * step_ms };
  const { windows } = await getAll(ofDevice(device, "/windows", { ...whole, step, tz: "UTC" }), "windows");
  return windows;
}

/** The days from a device's first reading to its newest. */
export function daysOf({ device_id, first_seen, newest }) {
  return windowsOf(device_id, { from: Date.parse(first_seen), to: Date.parse(newest) + 1 }, "1d", DAY);
}

/** The first reading in `windows` of which this is the `min_c` or `max_c`, or null. Within its
 * window the hour is searched for, so that few readings are asked for. */
async function find(device, key, value, windows) {
  const timeOf = (all) => {
    const found = all.find((window) => window[key] === value);
    return found && { from: Date.parse(found.from), to: Date.parse(found.to) };
  };
  let time = timeOf(windows);
  if (time && time.to - time.from > HOUR) time = timeOf(await windowsOf(device, time, "1h", HOUR));
  if (!time) return null;
  const { readings } = await getAll(ofDevice(device, "/readings", { ...time, limit: 1000 }), "readings");
  return readings.find(({ temperature_c }) => temperature_c === value) ?? null;
}

/** The address of the form of corrections, filled in for a reading. */
export function correctionOf(device_id, { timestamp, temperature_c: expect_c, region }) {
  return `#/corrections?${new URLSearchParams({ device_id, timestamp, expect_c, region })}`;
}

/** A figure, with a button that leads to the form for its reading. `windows` gives those to
 * search, and `say` tells why there is no reading. */
export function correctable(device, key, value, words, windows, say) {
  const isPossible = value != null && may("/v1/corrections") && has("/v1/corrections", "post") && has(`${PATTERN}/windows`);
  if (!isPossible) return words;
  const name = key === "min_c" ? "coldest" : "warmest";
  const made = button("Take back or correct", async () => {
    say("");
    const asked = location.hash;
    try {
      const reading = await find(device, key, value, await windows());
      // Another view may have been opened meanwhile.
      if (location.hash !== asked) return;
      if (reading) location.hash = correctionOf(device, reading);
      else say(NOT_FOUND);
    } catch (error) {
      say(`No answer: ${error.message}`);
    }
  }, { className: "small" });
  made.setAttribute("aria-label", `Take back or correct the ${name} reading, ${words}`);
  return element("span", {}, words, " ", made);
}
