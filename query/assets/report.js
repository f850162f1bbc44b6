// The report of the excursions of a region, to be read on a screen and printed. What it
// shows is in its address: #region=hall&from=2026-11-01&to=2026-11-30&zone=UTC

import { isOut, learnAccess, onAccess } from "./access.js";
import { csv, get, ROOT } from "./api.js";
import { save } from "./download.js";
import { count, counted, element, sentence } from "./format.js";
import { Login } from "./login.js";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const NONE = "–";

/** The names of all regions. */
let regions = [];

const byId = (id) => document.getElementById(id);

/** Saves the table as CSV. */
async function saveTable(wanted) {
  try {
    save(await csv(excursionsOf(wanted)), `excursions-${wanted.region}-${wanted.days.join("-")}.csv`);
  } catch (failure) {
    fail(failure);
  }
}

/** A range as a query. */
const rangeOf = (from, to) =>
  new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });

/** The path of a region, or of what is below it. */
const ofRegion = (region, below = "") => `v1/regions/${encodeURIComponent(region)}${below}`;

/** The path of the excursions of a region. */
function excursionsOf({ region, from, to }) {
  return `${ofRegion(region, "/excursions")}?${rangeOf(from, to)}`;
}

// When sensors were silent

/** How many devices are asked about, and about how long. */
const DEVICES_MAX = 100;
const GAPS_MS_MAX = 31 * DAY;
/** How long before the range a silence that reaches into it is looked for. */
const BEFORE_MS = 7 * DAY;

/** The times in the range without a reading of a device, longer than it usually pauses. */
async function silencesOf({ device_id: id, newest, first_seen: first }, { from, to }) {
  const begin = Math.max(from - BEFORE_MS, to - GAPS_MS_MAX);
  const end = Math.min(to, Date.now());
  if (Date.parse(first) >= to || end <= from) return [];
  if (Date.parse(newest) < begin) return [{ id, begin: newest, end: null }];
  const answer = await get(`v1/devices/${encodeURIComponent(id)}/gaps?${rangeOf(begin, end)}`);
  if (answer.readings === 0) return [{ id, begin: null, end: null }];
  const reaches = (gap) => gap.end === null || Date.parse(gap.end) > from;
  return answer.gaps.filter(reaches).map((gap) => ({ id, ...gap }));
}

/** The times without a reading of all devices of a region, or why they are not told. */
async function silences(wanted) {
  if (wanted.to - wanted.from > GAPS_MS_MAX) {
    return { words: "Times without a reading are listed for 31 days at most." };
  }
  try {
    const path = `${ofRegion(wanted.region, "/devices")}?limit=${DEVICES_MAX}`;
    const { devices, next } = await get(path);
    const rows = [];
    for (const device of devices) rows.push(...await silencesOf(device, wanted));
    return { rows, words: next ? `Of the first ${DEVICES_MAX} devices by name.` : "" };
  } catch (failure) {
    return { words: `Times without a reading are not known: ${failure.message}.` };
  }
}

// Times in a zone

/** Year, month, day, hour, minute and second of an instant in a zone. */
function parts(ms, zone) {
  const format = new Intl.DateTimeFormat("en", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  return Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]));
}

/** `2026-11-25`: the day of an instant in a zone. */
function dayOf(ms, zone) {
  const { year, month, day } = parts(ms, zone);
  return `${year}-${month}-${day}`;
}

/** `2026-11-25 14:03:20 +01:00`: an instant in a zone. */
function instant(text, zone) {
  if (text == null) return NONE;
  const ms = Math.floor(Date.parse(text) / 1000) * 1000;
  const { year, month, day, hour, minute, second } = parts(ms, zone);
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  const offset = Math.round((local - ms) / MINUTE);
  const two = (number) => String(number).padStart(2, "0");
  const distance = `${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const sign = offset < 0 ? "-" : "+";
  return `${year}-${month}-${day} ${hour}:${minute}:${second} ${sign}${distance}`;
}

/** When a day begins in a zone: where the day is another one a millisecond before. */
function beginOf(day, zone) {
  const noon = Date.parse(`${day}T12:00:00Z`);
  // Zones are at most 14 hours ahead of UTC, and 12 behind.
  let [before, begun] = [noon - 28 * 60 * MINUTE, noon + 2 * 60 * MINUTE];
  while (begun - before > 1) {
    const middle = Math.floor((before + begun) / 2);
    if (dayOf(middle, zone) < day) before = middle;
    else begun = middle;
  }
  return begun;
}

/** The day after one. */
function dayAfter(day) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + DAY).toISOString().slice(0, 10);
}

// Words

const celsius = (value) => (value == null ? NONE : `${value}\u00a0°C`);

/** A duration in its two largest units. */
function duration(ms) {
  if (ms == null) return NONE;
  const seconds = Math.round(ms / 1000);
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  let rest = seconds;
  const words = [];
  for (const [name, size] of units.slice(first, first + 2)) {
    const number = Math.floor(rest / size);
    rest -= number * size;
    if (number > 0) words.push(`${number}\u00a0${name}`);
  }
  return words.join(" ");
}

const SOURCES = { reading: "readings", minute: "minutes", hour: "hours" };

const COLUMNS = ["Limit", "Begin", "End", "Duration", "Extreme", "Readings outside", "Devices",
  "Gaps", "Found in", "Revision"];

/** An instant that breaks before its offset alone. */
function when(text, zone) {
  const [day, time, offset] = instant(text, zone).split(" ");
  return [element("span", { className: "whole" }, `${day} ${time}`), ` ${offset}`];
}

/** The cells of an excursion, in the order of `COLUMNS`: each the parts of its text. */
function cells(one, zone) {
  const begin = when(one.begin, zone);
  const by = one.extreme_device ? ` by ${one.extreme_device}` : "";
  const names = one.device_ids?.join(", ");
  const more = one.devices > one.device_ids?.length ? `, … (${one.devices} in all)` : "";
  return [
    [one.kind === "high" ? `above ${celsius(one.high_c)}` : `below ${celsius(one.low_c)}`],
    one.begins_before ? ["before ", ...begin] : begin,
    one.open ? ["open"] : when(one.end, zone),
    [`${one.begins_before || one.open ? "at least " : ""}${duration(one.duration_ms)}`],
    [`${celsius(one.extreme_c)} at `, ...when(one.extreme_at, zone), by],
    [count(one.readings)],
    [names == null ? NONE : names + more],
    [one.gaps === 0 ? "none" : `${one.gaps}, the longest ${duration(one.longest_gap_ms)}`],
    [SOURCES[one.resolution] ?? one.resolution],
    [count(one.revision)],
  ];
}

function figures(pairs) {
  const list = element("dl", { className: "figures" });
  for (const [term, text] of pairs) {
    list.append(element("div", {}, element("dt", {}, term), element("dd", {}, text)));
  }
  return list;
}

/** A table of rows of cells, each the parts of its text. */
function table(label, columns, rows) {
  const row = (name, cells) =>
    element("tr", {}, ...cells.map((parts) => element(name, {}, ...parts)));
  const head = row("th", columns.map((name) => [name]));
  for (const cell of head.children) cell.scope = "col";
  const body = rows.map((cells) => row("td", cells));
  const made = element("table", { className: "rows" });
  made.append(element("thead", {}, head), element("tbody", {}, ...body));
  // Where it is wider than the screen, it can be scrolled by keys.
  const scrolled = { className: "scroll", tabIndex: 0, role: "region", ariaLabel: label };
  return element("div", scrolled, made);
}

const SILENCE_COLUMNS = ["Device", "Last reading before", "Next reading", "Duration"];

function silencePart({ rows = [], words }, zone) {
  const cells = ({ id, begin, end }) => [
    [id], begin ? when(begin, zone) : ["before the range"],
    end ? when(end, zone) : ["not in the range"],
    [begin && end ? duration(Date.parse(end) - Date.parse(begin)) : NONE],
  ];
  const all = rows.length === 0 ? "Every device was heard of as often as expected." : "";
  return [
    element("h2", {}, "Times without a reading"),
    ...(rows.length ? [table("Times without a reading", SILENCE_COLUMNS, rows.map(cells))] : []),
    ...(words || all ? [element("p", {}, words || all)] : []),
  ];
}

/** How complete the figures of a range are. */
function completeness(answer, at) {
  const waiting = answer.unfolded_readings ?? 0;
  const kept = answer.kept_from === undefined ? []
    : [["Single readings kept from", answer.kept_from ? at(answer.kept_from) : "the beginning"]];
  const { senders, silent_senders: silent, missing_readings: lacking } = answer;
  const nodes = senders
    ? [["Nodes that send here", `${count(senders)}, ${silent ? count(silent) : "none"} of them silent`],
      ["Not here yet from them", lacking ? `about ${count(lacking)}` : "none"]]
    : [];
  return [
    element("h2", {}, "Completeness"),
    figures([
      ["Readings counted", count(answer.count)],
      ["Devices", count(answer.devices)],
      ["Came late", count(answer.late)],
      ["Sent again", count(answer.duplicates)],
      ["Contradicting", count(answer.conflicts)],
      ["Corrected", count(answer.corrected)],
      ["Waiting to be counted", waiting ? count(waiting) : "none"],
      ["In quarantine", answer.quarantined_readings ? count(answer.quarantined_readings) : "none"],
      ...nodes,
      ...kept,
      ["Revision of the range", count(answer.revision)],
    ]),
  ];
}

/** What is said of a region without limits. */
function withoutLimits({ region, zone }, answer, silent) {
  byId("report").replaceChildren(
    element("h1", {}, `Temperature excursions: ${region}`),
    element("p", { className: "notice" },
      `No limits are set for this region, so there are no excursions. Set them in the view of the `
      + `region, or by PUT /v1/regions/{region}/limits; the report then covers the past, too.`),
    ...silencePart(silent, zone),
    ...completeness(answer, (text) => instant(text, zone)),
  );
}

/** The report of an answer. */
function report(asked, answer, set, version, silent) {
  const { zone } = asked;
  const at = (text) => instant(text, zone);
  const parts = [
    element("h1", {}, `Temperature excursions: ${answer.region}`),
    figures([
      ["From", at(answer.from)],
      ["To, excluded", at(answer.to)],
      ["Time zone", zone],
      ["Lowest allowed", celsius(answer.low_c)],
      ["Highest allowed", celsius(answer.high_c)],
      ["Listed from", answer.for_ms ? duration(answer.for_ms) : "any duration"],
      ["Limits set", `${at(set.changed)} (revision ${set.revision})`],
    ]),
    element("h2", {}, counted(answer.excursions.length, "excursion", "excursions")),
    answer.excursions.length
      ? table("Excursions", COLUMNS, answer.excursions.map((one) => cells(one, zone)))
      : element("p", {}, answer.count
        ? "No reading was outside the limits for that long."
        : "Nothing was measured in this range."),
    ...silencePart(silent, zone),
    ...completeness(answer, at),
    element("p", { className: "made" },
      `An excursion is a run of a device's readings outside the limits, from the first of them to `
      + `the first one inside; those of several devices that overlap are one. In a gap nothing was `
      + `measured. Where single readings were deleted, excursions are found in whole minutes. The `
      + `limits are those of today. The same revision is the same data.`),
    element("p", { className: "made" },
      `Made at ${at(answer.as_of)} by Isotherm ${version} at ${ROOT.host}${ROOT.pathname}. `
      + `This report claims conformity with no standard.`),
  ];
  byId("report").replaceChildren(...parts);
  document.title = `Excursions of ${answer.region}, ${dayOf(asked.from, zone)} to `
    + `${dayOf(asked.to - 1, zone)} – Isotherm`;
}

function state(name, text) {
  byId("state").dataset.state = name;
  byId("state").textContent = text;
}

/** The fields as the address has them. */
function fill() {
  const given = new URLSearchParams(location.hash.slice(1));
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = [...new Set([given.get("zone"), own, "UTC"])].filter(isZone);
  options(byId("zone"), zones, zones[0]);
  byId("from").value = given.get("from") ?? dayOf(Date.now() - 6 * DAY, zones[0]);
  byId("to").value = given.get("to") ?? dayOf(Date.now(), zones[0]);
  const wanted = given.get("region") ?? regions[0];
  options(byId("region"), wanted ? [...new Set([wanted, ...regions])].sort() : [], wanted);
}

/** What the fields say. */
function asked() {
  const zone = byId("zone").value;
  const [from, to] = [byId("from").value, byId("to").value];
  return {
    region: byId("region").value, zone,
    from: beginOf(from, zone), to: beginOf(dayAfter(to), zone), days: [from, to],
  };
}

async function show() {
  if (byId("region").value === "") {
    fail(new Error("no reading has been counted yet"));
    return;
  }
  const wanted = asked();
  state("loading", "Loading");
  const [from, to] = wanted.days;
  const query = new URLSearchParams({ region: wanted.region, from, to, zone: wanted.zone });
  history.replaceState(null, "", `#${query}`);
  try {
    const set = await get(ofRegion(wanted.region, "/limits"));
    const isLimited = set.low_c !== null || set.high_c !== null;
    const range = `${ofRegion(wanted.region)}?${rangeOf(wanted.from, wanted.to)}`;
    const [answer, description, silent] = await Promise.all([
      get(isLimited ? excursionsOf(wanted) : range), get("openapi.json"), silences(wanted),
    ]);
    if (isOut()) return;
    if (isLimited) report(wanted, answer, set, description.info.version, silent);
    else withoutLimits(wanted, answer, silent);
    state("live", "As of now");
  } catch (failure) {
    fail(failure);
  }
}

function fail(failure) {
  // Then there is the form that logs in.
  if (isOut()) return;
  byId("report").replaceChildren(
    element("h1", {}, "Temperature excursions"),
    element("p", { className: "notice" }, sentence(failure.message)),
  );
  state("error", "Not shown");
}

function options(select, names, chosen) {
  const option = (name) => element("option", { value: name, selected: name === chosen }, name);
  select.replaceChildren(...names.map(option));
}

/** The form that logs in, while one has to; the address stays. */
let login = null;

/** Shows the report, or the form that logs in. */
async function arrive() {
  byId("ask").hidden = isOut();
  if (isOut()) {
    document.title = "Log in – Isotherm";
    byId("region").replaceChildren();
    state("out", "Not logged in");
    if (login) login.explain();
    else login = new Login(byId("report"));
    return;
  }
  login = null;
  state("loading", "Loading");
  try {
    const known = await get("v1/regions");
    regions = known.regions.map((region) => region.region);
  } catch (failure) {
    fail(failure);
    return;
  }
  fill();
  await show();
}

async function start() {
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
  byId("print").addEventListener("click", () => print());
  byId("csv").addEventListener("click", () => saveTable(asked()));
  addEventListener("hashchange", () => {
    if (isOut()) return;
    fill();
    show();
  });
  await learnAccess();
  onAccess(arrive);
  await arrive();
}

function isZone(name) {
  if (name == null) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

start();
