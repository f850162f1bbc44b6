// Figures and times as text, and elements to put them in.

import { fields, offset, offsetText, zone } from "./zone.js";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const UNITS = [[365 * DAY, "y"], [DAY, "d"], [HOUR, "h"], [MINUTE, "min"], [1000, "s"]];

/** Degrees Celsius to two digits; a dash for what is not known. */
export function celsius(value) {
  return value == null ? "–" : `${value.toFixed(2)} °C`;
}

/** A count with its thousands apart; a dash for what is not known. */
export function count(value) {
  return value == null ? "–" : value.toLocaleString("en");
}

/** A number of things that have a singular. */
export function counted(value, one, many) {
  return value === 1 ? `1 ${one}` : `${count(value)} ${many}`;
}

/** An instant, to the second, in the zone that is shown: the date and time of day as in
 * RFC 3339, and `Z` or how far that zone is ahead of UTC. */
export function instant(time) {
  if (time == null) return "–";
  const ms = typeof time === "string" ? Date.parse(time) : time;
  const { year, month, day, hour, minute, second } = fields(ms);
  return `${year}-${month}-${day} ${hour}:${minute}:${second}${offsetText(ms)}`;
}

/** The same for a table, whose zone the page says: with an offset only in an hour that
 * the clocks of that zone show twice. */
export function moment(time) {
  if (time == null) return "–";
  const ms = typeof time === "string" ? Date.parse(time) : time;
  const text = instant(ms);
  if (zone() === "UTC") return text;
  const isTwice = offset(ms) > offset(ms + HOUR) || offset(ms - HOUR) > offset(ms);
  return isTwice ? text : text.slice(0, 19);
}

/** The time of day of an instant; with the date, if it is not that of `now`. */
export function clock(time, now) {
  if (time == null) return "–";
  const [then, today] = [fields(Date.parse(time)), fields(now)];
  const isToday = ["year", "month", "day"].every((name) => then[name] === today[name]);
  return `${isToday ? "" : `${then.month}-${then.day} `}${then.hour}:${then.minute}`;
}

/** How long something took, in its two largest units: `1 h 5 min`. */
export function duration(ms) {
  if (ms == null) return "–";
  const first = UNITS.findIndex(([unit]) => ms >= unit);
  if (first < 0) return "0 s";
  const [unit, name] = UNITS[first];
  const [next, nextName] = UNITS[first + 1] ?? [];
  const rest = next ? Math.floor((ms % unit) / next) : 0;
  return `${Math.floor(ms / unit)} ${name}${rest ? ` ${rest} ${nextName}` : ""}`;
}

const BYTES = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "bytes"]];

/** A number of bytes, in powers of ten. */
export function bytes(value) {
  if (value == null) return "–";
  const [unit, name] = BYTES.find(([unit]) => Math.abs(value) >= unit) ?? BYTES.at(-1);
  const number = value / unit;
  return `${number.toLocaleString("en", { maximumFractionDigits: number < 10 && unit > 1 ? 1 : 0 })} ${name}`;
}

/** How far clocks may differ, with the time that a reading takes. */
const FRESH = 5 * MINUTE;

/** How long something took, in its largest unit. */
export function largest(ms) {
  const [unit, name] = UNITS.find(([unit]) => Math.abs(ms) >= unit) ?? UNITS.at(-1);
  return `${Math.floor(Math.abs(ms) / unit)} ${name}`;
}

/** How long ago, or how far ahead of the node's clock, in the largest unit. */
export function age(ms) {
  if (ms < 0 && ms >= -FRESH) return "just now";
  return `${largest(ms)} ${ms < 0 ? "ahead" : "ago"}`;
}

/** `fresh` up to five minutes, `late` up to an hour, then `old`; `ahead` if it is
 * more than five minutes ahead of the node's clock. */
export function freshness(ms) {
  if (ms < -FRESH) return "ahead";
  if (ms <= FRESH) return "fresh";
  return ms <= HOUR ? "late" : "old";
}

/** A new element with properties and children; text stays text. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Words of the node as a sentence. */
export function sentence(words) {
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}

/** Sets a text only where it differs, so that nothing flickers or is read twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Marks `node` with how fresh a reading of that instant is. */
export function markFreshness(node, newest, now) {
  const ms = newest == null ? Infinity : now - Date.parse(newest);
  node.dataset.age = freshness(ms);
  setText(node, newest == null ? "never" : age(ms));
}
