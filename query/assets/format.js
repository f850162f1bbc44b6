// Figures and times as text, and elements to put them in.

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

/** An instant, to the second, as RFC 3339 without its T. */
export function instant(ms) {
  if (ms == null) return "–";
  return new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z");
}

/** How far clocks may differ, with the time that a reading takes. */
const FRESH = 5 * MINUTE;

/** How long ago, or how far ahead of the node's clock, in the largest unit. */
export function age(ms) {
  if (ms < 0 && ms >= -FRESH) return "just now";
  const [unit, name] = UNITS.find(([unit]) => Math.abs(ms) >= unit) ?? UNITS.at(-1);
  return `${Math.floor(Math.abs(ms) / unit)} ${name} ${ms < 0 ? "ahead" : "ago"}`;
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
