// The time that a view shows, as its address has it: a range that ends now or at `to`,
// a day, or from one instant to another one.

import { now } from "./api.js";
import { DAY, HOUR, MINUTE } from "./format.js";
import { beginOf, dateAfter, dateOf } from "./zone.js";

export const RANGES = {
  "1h": ["1 hour", HOUR], "6h": ["6 hours", 6 * HOUR], "24h": ["24 hours", DAY],
  today: ["today", null], yesterday: ["yesterday", null],
  "7d": ["7 days", 7 * DAY], "30d": ["30 days", 30 * DAY], "1y": ["1 year", 366 * DAY],
  all: ["all time", null],
};
export const STEPS = {
  "1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "6h": 6 * HOUR,
  "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY,
};
/** How many windows a chart shows well, and can show at all. The service answers
 * with at most 10,000 at once. */
const WINDOWS_WANTED = 400;
const WINDOWS_MAX = 3_000;
/** While at least this part of a device's readings arrives, lost ones do not make the
 * automatic step longer. */
const ARRIVING = 0.9;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

/** An instant of an address: Unix milliseconds, RFC 3339, or a date. */
function instantOf(text) {
  if (text === null) return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const ms = DATE.test(text) ? beginOf(text) : Date.parse(text);
  return Number.isFinite(ms) ? ms : null;
}

/** What an address chooses. */
export function chosenBy(query) {
  const day = DATE.test(query.get("day") ?? "") && Number.isFinite(Date.parse(query.get("day"))) ? query.get("day") : null;
  const [from, to] = [instantOf(query.get("from")), instantOf(query.get("to"))];
  return {
    range: query.get("range") in RANGES ? query.get("range") : "24h",
    step: query.get("step") in STEPS ? query.get("step") : "auto",
    day,
    from: from !== null && to !== null && from >= to ? null : from,
    to,
  };
}

/** The address of what is chosen: what is not said there is the default. */
export function queryOf({ range, step, day, from, to }) {
  const text = (ms) => new Date(ms).toISOString().replace(/(:00)?\.000Z$/, "Z");
  const time = day ? { day } : {
    ...(from == null && { range }), ...(from != null && { from: text(from) }), ...(to != null && { to: text(to) }),
  };
  return new URLSearchParams({ ...time, ...(step !== "auto" && { step }) });
}

/** The whole of a date, in the zone that is shown. It may have 23 or 25 hours. */
function ofDay(date) {
  const [begin, end] = [beginOf(date), beginOf(dateAfter(date, 1))];
  return { begin, end, wide: end - begin, isPast: false, date };
}

/** The time that is chosen for what has its oldest and newest reading at these
 * instants: where it begins and ends, and how wide it is, in ms. */
export function timeOf({ range, day, from, to }, { oldest, newest }) {
  if (day) return ofDay(day);
  if (from !== null) {
    const end = to ?? now();
    return { begin: from, end, wide: Math.max(MINUTE, end - from), isPast: false };
  }
  const today = dateOf(now());
  if (range === "today") return ofDay(today);
  if (range === "yesterday") return ofDay(dateAfter(today, -1));
  const last = newest == null ? now() : Date.parse(newest);
  // Of a single reading, an hour is shown.
  const wide = RANGES[range][1] ?? Math.max(HOUR, last - Date.parse(oldest ?? newest ?? last));
  // Where nothing came for as long as the range, it ends with the newest reading.
  const isPast = range === "all" || now() - last > wide;
  const end = to ?? (isPast ? last : now());
  return { begin: end - wide, end, wide, isPast: isPast && to == null };
}

/** The whole steps that a time is in, so that it lacks no reading. They are up to
 * two more than fit into it. Those of a date begin with it, and those of days at midnight in the zone that is
 * shown. */
export function wholeSteps({ begin, end, date }, step_ms) {
  if (date) return { from: begin, to: end };
  if (step_ms >= DAY) return { from: beginOf(dateOf(begin)), to: beginOf(dateAfter(dateOf(end), 1)) };
  return {
    from: Math.floor(Math.max(0, begin) / step_ms) * step_ms,
    to: (Math.floor(end / step_ms) + 1) * step_ms,
  };
}

/** How often a device reports, in ms, by the figures of a range; 0 where no device
 * reports twice. */
function interval({ count, devices, oldest, newest }) {
  // Where the number of devices is not known, the step is rather too fine.
  const each = count / (devices ?? 1);
  return each > 1 ? (Date.parse(newest) - Date.parse(oldest)) / each : 0;
}

/** The finest step that a chart shows well, and that is no finer than readings come. */
export function automaticStep(wide, figures) {
  const least = Math.max(wide / WINDOWS_WANTED, interval(figures) * ARRIVING);
  const names = Object.keys(STEPS);
  return names.find((name) => STEPS[name] >= least) ?? names.at(-1);
}

/** The steps of which a chart can show as many as fit into a time. */
export function usableSteps(wide) {
  return Object.keys(STEPS).filter((step) => wide / STEPS[step] <= WINDOWS_MAX);
}
