// The zone in which times are shown: the node's, or the viewer's. It is kept by the
// browser; the page always says which.

const KEPT = "isotherm-zone";
const KEPT_NODE = "isotherm-node-zone";
const DAY = 86_400_000;
/** Names of universal time, and the zone of a node that does not say. */
const UTC = ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "UTC0"];
const changed = new EventTarget();

/** Whether the browser knows a zone. */
function isKnown(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

/** What the browser keeps for this page; null if it keeps nothing. */
function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function keep(key, text) {
  try {
    localStorage.setItem(key, text);
  } catch {
    // Until the page is closed.
  }
}

const state = {
  /** The node's zone, or UTC if the browser does not know the one it names. */
  node: "UTC",
  here: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
  /** The node's zone as it names it, if the browser does not know it. */
  unknown: null,
  choice: kept(KEPT) === "here" ? "here" : "node",
};

const formats = new Map();

function format(name) {
  if (!formats.has(name)) {
    formats.set(name, new Intl.DateTimeFormat("en", {
      timeZone: name, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit",
      hour: "2-digit", minute: "2-digit", second: "2-digit",
    }));
  }
  return formats.get(name);
}

/** The name of the zone that is shown. */
export function zone() {
  const name = state.choice === "here" ? state.here : state.node;
  return UTC.includes(name) ? "UTC" : name;
}

/** What there is to choose from, and why a zone may be missing. */
export function zones() {
  return { ...state, isOne: (UTC.includes(state.node) && UTC.includes(state.here)) || state.node === state.here };
}

export function chooseZone(choice) {
  state.choice = choice;
  keep(KEPT, choice);
  changed.dispatchEvent(new Event("change"));
}

/** Calls `listener` whenever another zone is to be shown. */
export function onZone(listener) {
  changed.addEventListener("change", listener);
}

/** Takes the node's zone, as `/v1/status` has it. */
export function takeNodeZone(name) {
  if (!name || name === (state.unknown ?? state.node)) return;
  state.unknown = isKnown(name) ? null : name;
  state.node = state.unknown ? "UTC" : name;
  keep(KEPT_NODE, name);
  changed.dispatchEvent(new Event("change"));
}

/** Forgets which zone the node said it has. */
export function forgetNodeZone() {
  try {
    localStorage.removeItem(KEPT_NODE);
  } catch {
    // Then it was not kept.
  }
}

// Until the node says it: the zone that it had the last time.
takeNodeZone(kept(KEPT_NODE));

/** The fields of an instant in the zone that is shown, as text. */
export function fields(ms) {
  const made = {};
  for (const { type, value } of format(zone()).formatToParts(ms)) made[type] = value;
  made.year = made.year.padStart(4, "0");
  return made;
}

/** How far the zone is ahead of UTC at an instant, in ms. */
export function offset(ms) {
  const { year, month, day, hour, minute, second } = fields(ms);
  const local = Date.UTC(Number(year), month - 1, Number(day), Number(hour), Number(minute), Number(second));
  return local - Math.floor(ms / 1000) * 1000;
}

/** `Z`, or the offset as short as it is exact: `+01`, `+05:30`. */
export function offsetText(ms) {
  if (zone() === "UTC") return "Z";
  const minutes = Math.round(offset(ms) / 60_000);
  const two = (value) => String(value).padStart(2, "0");
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return ` ${minutes < 0 ? "−" : "+"}${two(hours)}${rest ? `:${two(rest)}` : ""}`;
}

/** The date of an instant: 2026-11-25. */
export function dateOf(ms) {
  const { year, month, day } = fields(ms);
  return `${year}-${month}-${day}`;
}

/** The date that is `days` after another one. */
export function dateAfter(date, days) {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY).toISOString().slice(0, 10);
}

/** The first instant of a date, in Unix milliseconds. Where clocks are put forward at
 * midnight, the day begins later. */
export function beginOf(date) {
  const midnight = Date.parse(`${date}T00:00:00Z`);
  const offsets = [offset(midnight + DAY), offset(midnight - DAY)];
  const candidates = offsets.map((ahead) => midnight - ahead).sort((a, b) => a - b);
  const isMidnight = (ms) => ms + offset(ms) === midnight;
  const found = candidates.find(isMidnight);
  if (found !== undefined) return found;
  let [before, after] = [candidates[0] - DAY / 4, candidates[1] + DAY / 4];
  while (after - before > 1000) {
    const middle = Math.floor((before + after) / 2000) * 1000;
    if (dateOf(middle) < date) before = middle;
    else after = middle;
  }
  return after;
}
