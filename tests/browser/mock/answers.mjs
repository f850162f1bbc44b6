// The answers of a house that does not exist, in the form of docs/api.md.

import { mayRead } from "./access.mjs";
import { DAY, HOUR, MINUTE } from "./house.mjs";
import { problem, Refusal } from "./refusal.mjs";
import { adopted, refused, sources, tried, unknown } from "./sources.mjs";

const UNITS = { s: 1000, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY, mo: 30 * DAY, y: 365 * DAY };

/** All routes, with their methods: what /openapi.json names. */
const ROUTES = {
  "/v1/regions": [regions, "get"],
  "/v1/regions/{region}": [region, "get"],
  "/v1/regions/{region}/windows": [regionWindows, "get"],
  "/v1/regions/{region}/devices": [regionDevices, "get"],
  "/v1/regions/{region}/limits": [limits, "get", "put", "delete"],
  "/v1/regions/{region}/excursions": [regionExcursions, "get"],
  "/v1/devices": [devices, "get"],
  "/v1/devices/{device_id}": [device, "get", "put"],
  "/v1/devices/{device_id}/windows": [deviceWindows, "get"],
  "/v1/devices/{device_id}/gaps": [gaps, "get"],
  "/v1/devices/{device_id}/excursions": [deviceExcursions, "get"],
  "/v1/devices/{device_id}/readings": [readings, "get"],
  "/v1/readings": [allReadings, "get"],
  "/v1/conflicts": [conflicts, "get"],
  "/v1/quarantine": [quarantine, "get"],
  "/v1/quarantine/retry": [retried, "post"],
  "/v1/quarantine/{name}/retry": [retried, "post"],
  "/v1/rejections": [rejections, "get"],
  "/v1/rejections/devices": [rejectionsByDevice, "get"],
  "/v1/corrections": [corrections, "get", "post"],
  "/v1/sources": [sources, "get"],
  "/v1/sources/{source}/refused": [refused, "get"],
  "/v1/sources/{source}/unknown": [unknown, "get"],
  "/v1/sources/{source}/devices": [adopted, "post"],
  "/v1/sources/{source}/try": [tried, "post"],
  "/v1/status": [status, "get"],
  "/v1/senders": [senders, "get"],
  "/v1/sync": [sync, "get"],
};

/** The route of a path, and the path's argument. */
function find(path) {
  for (const [pattern, [handler, ...methods]] of Object.entries(ROUTES)) {
    const found = path.match(new RegExp(`^${pattern.replace(/\{\w+\}/, "([^/]+)")}$`));
    if (found) return { pattern, handler, methods, argument: decodeURIComponent(found[1] ?? "") };
  }
  return null;
}

/** The status and body of the answer to a request of whom has these scopes. */
export function answers(mock, method, url, body, scopes = ["read:*"]) {
  if (url.pathname === "/openapi.json") {
    const there = Object.entries(ROUTES).filter(([pattern]) => !mock.without.includes(pattern));
    const paths = there.map(([pattern, [, ...methods]]) => [pattern, Object.fromEntries(methods.map((m) => [m, {}]))]);
    return { status: 200, body: { openapi: "3.1.0", paths: Object.fromEntries(paths) } };
  }
  const found = find(url.pathname);
  if (!found || mock.without.includes(found.pattern) || !found.methods.includes(method.toLowerCase())) {
    return { status: 404, body: problem(404, "no such resource; see /openapi.json") };
  }
  try {
    const made = found.handler({ ...mock, mock, scopes, method, query: url.searchParams, body, argument: found.argument });
    return made.text === undefined ? { status: 200, body: { ...covered(mock), ...made } } : { status: 200, text: made.text };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: error.code, body: problem(error.code, error.message) };
  }
}

function covered({ house, nodes, isStale }) {
  const oldest = Math.min(...nodes.map(({ seconds }) => seconds));
  return {
    senders: nodes.length, silent_senders: nodes.filter(isSilent).length,
    silent_nodes: nodes.filter(isSilent).map(({ name }) => name).join(" ") || null,
    senders_as_of: nodes.length === 0 ? null : instant(house.now - 1000 * oldest),
    missing_readings: nodes.reduce((sum, { missing }) => sum + missing, 0),
    ...(isStale && { senders: null, silent_senders: null, silent_nodes: null, senders_as_of: null, missing_readings: null }),
    as_of: new Date(house.now).toISOString(), stale: false, unfolded_entries: 0, unfolded_readings: 0,
    quarantined_readings: 3, complete: true, revision: Math.floor(house.now / MINUTE),
  };
}

function time(text, otherwise) {
  if (text == null) return otherwise;
  const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(ms)) throw new Refusal(400, `"${text}" is no time`);
  return ms;
}

function range({ query, house }, wide = DAY) {
  const to = time(query.get("to"), house.now);
  return { from: time(query.get("from"), to - wide), to };
}

const instant = (ms) => (ms == null ? null : new Date(ms).toISOString());

/** A room with its devices, or the mistyped name with the one reading it has. */
function room({ house }, name) {
  const found = house.room(name);
  if (found) return { ...found, all: house.devices.filter(({ region }) => region === name) };
  if (name === house.typo.region) return { name, all: [], limits: null, typo: house.typo };
  throw new Refusal(404, "no reading of this region has been counted");
}

function figures(call, { all, typo }, from, to) {
  const made = call.house.figures(all, from, to);
  if (!typo || typo.timestamp < from || typo.timestamp >= to) return made;
  const { temperature_c: value, timestamp } = typo;
  return {
    ...made, count: 1, average_c: value, min_c: value, max_c: value, standard_deviation_c: 0, devices: 1,
    device_average_c: value, p50_c: value, p95_c: value, p99_c: value, oldest: instant(timestamp), newest: instant(timestamp),
  };
}

/** Which nodes that send readings of a region are silent or behind. */
function lack({ nodes, scopes }, { name }) {
  const behind = nodes.filter((one) => one.regions?.includes(name) && (isSilent(one) || one.minutes > 2));
  const mayName = !scopes || behind.length === 0 || scopes.some((scope) => ["admin", "read:*"].includes(scope));
  return { behind_senders: behind.length, behind: mayName ? behind.map((one) => one.name) : null };
}

function latest(call, found) {
  const { house } = call;
  // What is now came with the list of devices.
  if (call.without.includes("/v1/devices")) return {};
  const known = house.latest(found.name);
  const [silent, heard] = [known.filter((one) => house.isSilent(one)), known.filter((one) => !house.isSilent(one))];
  const ordered = heard.toSorted((a, b) => a.temperature_c - b.temperature_c);
  const [coldest, warmest] = [ordered.at(0), ordered.at(-1)];
  const { low_c, high_c } = found.limits ?? {};
  const isWithin = !warmest ? null : (high_c == null || warmest.temperature_c <= high_c) && (low_c == null || coldest.temperature_c >= low_c);
  const ids = found.typo ? [found.typo.device_id] : silent.map(({ device_id }) => device_id);
  return {
    latest_average_c: heard.length ? heard.reduce((sum, one) => sum + one.temperature_c, 0) / heard.length : null,
    latest_devices: heard.length,
    warmest_device: warmest?.device_id ?? null, warmest_c: warmest?.temperature_c ?? null, warmest_at: instant(warmest?.newest),
    coldest_device: coldest?.device_id ?? null, coldest_c: coldest?.temperature_c ?? null, coldest_at: instant(coldest?.newest),
    silent_devices: ids.length, silent: ids.slice(0, 20), ...lack(call, found),
    ...(found.limits && { low_c, high_c, within_limits: isWithin }),
    ...(!found.limits && { low_c: null, high_c: null, within_limits: null }),
  };
}

function summary(call, name, from, to) {
  const found = room(call, name);
  const isAll = from == null;
  const begin = isAll ? call.house.begin : from;
  const end = isAll ? call.house.now + 1 : to;
  return {
    region: name, from: instant(from), to: instant(to), ...figures(call, found, begin, end),
    ...(isAll && { ...latest(call, found), newest: instant(found.typo?.timestamp ?? Math.max(...found.all.map((one) => one.newest))) }),
    ...(isAll && { oldest: instant(found.typo?.timestamp ?? call.house.begin) }),
    revision: Math.floor(call.house.now / MINUTE),
  };
}

function regions(call) {
  const names = [...call.house.rooms.map(({ name }) => name), call.house.typo.region].filter((name) => mayRead(call.scopes, name)).sort();
  const { from, to } = { from: time(call.query.get("from"), undefined), to: time(call.query.get("to"), call.house.now) };
  return { regions: names.map((name) => summary(call, name, from, to)), complete: true };
}

function region(call) {
  const { from, to } = { from: time(call.query.get("from"), null), to: time(call.query.get("to"), null) };
  return summary(call, call.argument, from ?? undefined, to ?? undefined);
}

function step(text) {
  const [, number, unit] = text.match(/^(\d+)(s|m|h|d|w|mo|y)$/) ?? [];
  if (!number) throw new Refusal(400, `"${text}" is no step`);
  return Number(number) * UNITS[unit];
}

function windows(call, make) {
  const { from, to } = range(call);
  const wide = step(call.query.get("step") ?? "1h");
  const made = [];
  for (let begin = from; begin < to; begin += wide) {
    const end = Math.min(to, begin + wide);
    made.push({ from: instant(begin), to: instant(end), ...make(begin, end) });
  }
  return { step_ms: wide, windows: made };
}

function regionWindows(call) {
  const found = room(call, call.argument);
  const made = windows(call, (begin, end) => figures(call, found, begin, end));
  if (call.query.get("format") === "csv") return { text: "" };
  return { region: call.argument, ...made };
}

function record({ house }, one) {
  const { count, average_c, min_c, max_c } = house.figures([one], house.begin, house.now);
  return {
    device_id: one.device_id, region: one.region, count, average_c, min_c, max_c,
    first_seen: instant(house.begin), newest: instant(one.newest), newest_age_ms: house.now - one.newest,
    temperature_c: house.reading(one, one.newest),
    expected_interval_ms: one.expected_interval === "0" ? null : (house.silentAfter(one) / 3),
    silent_after_ms: house.silentAfter(one), silent: house.isSilent(one),
  };
}

function devices(call) {
  const wanted = call.query.get("region");
  const all = call.house.devices.filter((one) => !wanted || one.region === wanted);
  return { devices: all.map((one) => record(call, one)) };
}

function regionDevices(call) {
  return { region: call.argument, devices: room(call, call.argument).all.map((one) => record(call, one)) };
}

function one(call) {
  const found = call.house.device(call.argument);
  if (!found) throw new Refusal(404, "no reading of this device has been counted");
  return found;
}

function device(call) {
  const found = one(call);
  if (call.method === "PUT") {
    const { expected_interval: wanted } = call.body;
    if (wanted !== null && !/^\d+[smhd]?$/.test(wanted)) throw new Refusal(400, `expected_interval: "${wanted}" is no duration, like 15m`);
    found.expected_interval = wanted;
  }
  const { device_id, region: name, count, average_c, first_seen, newest, temperature_c } = record(call, found);
  return { ...record(call, found), regions: [{ device_id, region: name, count, average_c, first_seen, newest, temperature_c }] };
}

function deviceWindows(call) {
  const found = one(call);
  return {
    device_id: found.device_id, kept_from: null,
    ...windows(call, (begin, end) => {
      const { count, average_c, min_c, max_c } = call.house.figures([found], begin, end);
      return { count, average_c, min_c, max_c };
    }),
  };
}

function gaps(call) {
  const found = one(call);
  const { from, to } = range(call);
  const end = Math.min(to, call.house.now);
  const isGap = end - found.newest > 3 * MINUTE && from < end;
  const begin = Math.max(from, found.newest);
  return { gaps: isGap ? [{ begin: instant(begin), end: null, duration_ms: end - begin }] : [] };
}

function limits(call) {
  const found = room(call, call.argument).typo ? { limits: null } : call.house.room(call.argument);
  if (call.method === "DELETE") found.limits = null;
  if (call.method === "PUT") {
    if (call.body.low_c != null && call.body.high_c != null && call.body.low_c >= call.body.high_c) {
      throw new Refusal(400, "low_c must be below high_c");
    }
    found.limits = call.body;
  }
  const none = { low_c: null, high_c: null, for: null, plausible_low_c: null, plausible_high_c: null };
  return { region: call.argument, ...none, ...found.limits };
}

function excursions(call, found, devices) {
  const { from, to } = range(call);
  if (!found.limits) throw new Refusal(404, "the region has no limits; set them by PUT /v1/regions/{region}/limits");
  const { low_c, high_c } = found.limits;
  const listed = call.house.excursions(found, devices, from, to).map(({ last, ...made }) => ({
    region: found.name, ...made, begin: instant(made.begin), end: instant(made.end), extreme_at: instant(made.extreme_at),
    duration_ms: (made.end ?? call.house.now) - made.begin, open: made.end === null, longest_gap_ms: null,
    resolution: "reading", low_c, high_c, revision: 7,
  }));
  return { region: found.name, from: instant(from), to: instant(to), low_c, high_c, excursions: listed };
}

function regionExcursions(call) {
  const found = room(call, call.argument);
  return excursions(call, found, found.all);
}

function deviceExcursions(call) {
  const found = one(call);
  return { ...excursions(call, call.house.room(found.region), [found]), device_id: found.device_id };
}

function readings(call) {
  const { house } = call;
  const found = one(call);
  const { from, to } = range(call);
  const made = [];
  let at = Math.ceil(from / MINUTE) * MINUTE;
  for (; at < to && made.length < 1000; at += MINUTE) {
    const value = house.reading(found, at);
    if (value !== null) made.push({ timestamp: instant(at), region: found.region, temperature_c: value });
  }
  const next = at < to && { next: `?${new URLSearchParams({ from: instant(at), to: instant(to), limit: 1000 })}` };
  return { device_id: found.device_id, kept_from: instant(house.begin), readings: made, ...next };
}

function allReadings(call) {
  const { house, query } = call;
  const { from, to } = range(call);
  const listed = house.devices.filter((each) => !query.get("region") || each.region === query.get("region"));
  const lines = ["device_id,region,timestamp,temperature_c"];
  for (let at = Math.ceil(from / MINUTE) * MINUTE; at < to; at += MINUTE) {
    for (const each of listed) {
      const value = house.reading(each, at);
      if (value !== null) lines.push(`${each.device_id},${each.region},${instant(at)},${value}`);
    }
  }
  return { text: `${lines.join("\r\n")}\r\n` };
}

function conflicts({ house }) {
  const at = instant(house.conflictAt);
  const one = (device_id, sent) => ({
    device_id, timestamp: at, region: "freezer-3", temperature_c: sent, standing_region: "freezer-3",
    standing_temperature_c: house.reading(house.device(device_id), house.conflictAt),
  });
  return { conflicts: [one("freezer-3-s1", -127), one("freezer-3-s4", -21.9)], seen: 5 };
}

function quarantine({ mock, house }) {
  mock.quarantined ??= [
    { name: "in/0001a93e77", reason: "ahead_of_clock", readings: 2, bytes: 214 },
    { name: "in/0001a93f02", reason: "too_old", readings: 1, bytes: 131 },
  ];
  return { entries: mock.quarantined, entries_omitted: 0, as_of: instant(house.now) };
}

function retried({ mock, argument }) {
  const before = mock.quarantined?.length ?? 0;
  mock.quarantined = argument ? mock.quarantined.filter(({ name }) => name !== argument) : [];
  return { retried: before - mock.quarantined.length };
}

function rejected({ house }) {
  const one = (minutes, device_id, region, reason, detail) => ({
    at: instant(house.now - minutes * MINUTE), device_id, region, reason, detail, address: "192.168.7.31", stands_for: 1,
  });
  const ahead = "timestamp is 57 min ahead of this node's clock; check the device's clock";
  return [
    one(2, "greenhouse-4", "green house", "invalid_region", "region: 1 to 64 of A-Z a-z 0-9 . _ : -, but the character 6 is a space"),
    one(11, "dock-s6", "dock", "in_future", ahead),
    { ...one(71, "dock-s6", "dock", "in_future", ahead), stands_for: 40 },
    { ...one(190, null, null, "unreadable", "the request is not valid JSON at character 152; nothing was stored"), address: null },
  ];
}

function rejections(call) {
  const records = rejected(call);
  return { kept: records.length, kept_from: records.at(-1).at, rejections: records };
}

function rejectionsByDevice(call) {
  const [greenhouse, dock] = rejected(call);
  const of = ({ device_id, region, at, reason, detail, address }, number) =>
    ({ device_id, region, rejected: number, last_at: at, last_reason: reason, last_detail: detail, last_address: address });
  return { devices: [of(dock, 41), of(greenhouse, 1)] };
}

function corrections({ house, method, body }) {
  if (method === "POST") {
    if (!body.reason) throw new Refusal(400, "reason must be there: say why");
    if (body.rename) {
      const isMerge = body.rename === "dock";
      if (isMerge && !body.from) return { merged: body.region, into: body.rename, corrected: 1000, done: false, from: instant(house.now) };
      house.renamings.unshift({ region: body.region, into: body.rename, merged: isMerge, made: instant(house.now), by: null, reason: body.reason });
      return { [isMerge ? "merged" : "renamed"]: body.region, into: body.rename, corrected: isMerge ? 7 : 0, done: true, from: null };
    }
    house.corrections.unshift({
      made: instant(house.now), region: null, by: "admin", ...body,
      state: body.temperature_c === -4.25 ? "waiting" : "applied", stands_region: "dock", stands_c: body.temperature_c === -4.25 ? 3 : null,
    });
    return { ack: "folded", ...house.corrections[0] };
  }
  return { corrections: house.corrections, renamings: house.renamings };
}

const isSilent = ({ seconds }) => seconds > 300;

/** The nodes that send to this one. `serve` says where they are from. */
function senders({ house, nodes }) {
  return { nodes: nodes.map((one, index) => ({
    name: one.name, node: `${index}f`.repeat(16), silent: isSilent(one), contact: instant(house.now - 1000 * one.seconds),
    as_of: instant(house.now - 1000 * one.seconds - 40), behind_minutes: one.minutes, behind_readings: one.behind,
    missing_readings: one.missing, first_contact: instant(house.begin), readings: 812_344, readings_per_hour: 21_500,
    forks: one.forks ?? 0, forked: one.forks ? instant(house.now - DAY) : null,
  })) };
}

/** The exchange with the peers of this one; without them, what sends is not deployed. */
function sync({ house, sync: state }) {
  if (state === null) throw new Refusal(404, "no such resource; see /openapi.json");
  if (typeof state === "number") throw new Refusal(state, "the token does not allow this; it needs the scope read:*");
  return { node: "c0ffee".padEnd(32, "7"), name: "hub", as_of: instant(house.now), dropped_readings: 0, dropped_from: null, dropped_to: null, ...state };
}

function status({ house, timeZone }) {
  return {
    as_of: instant(house.now), version: "0.1.0", now: instant(house.now), time_zone: timeZone, retention_ms: 400 * DAY,
    readings: 2_304_000, regions: 10, devices: 40, oldest_reading: instant(house.begin), newest: instant(house.now),
    database_bytes: 14_200_000, database_free_bytes: 120_000, ledger_bytes: 13_100_000, journal_entries: 0, journal_bytes: 0,
    readings_per_day: 57_600, growth_bytes_per_day: 346_000, forecast_bytes_in_a_year: 140_500_000,
    written_bytes_per_day: 61_000_000, void_values: [85, -127],
  };
}
