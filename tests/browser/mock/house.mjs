// A house that does not exist: nine rooms with 40 sensors and one name that was
// mistyped. Its temperatures are functions of the time, so that whatever is asked
// for, and how often, fits together.

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const ROOMS = [
  { name: "cold-room-1", devices: 4, base: 4, limits: { low_c: 1, high_c: 8, for: "15m" } },
  { name: "cold-room-2", devices: 4, base: 5, limits: { low_c: 1, high_c: 8, for: "15m" } },
  { name: "cold-room-3", devices: 4, base: 3.5, limits: { low_c: 1, high_c: 8, for: "15m" } },
  { name: "dock", devices: 5, base: 11, limits: null },
  { name: "freezer-1", devices: 5, base: -21.5, limits: { low_c: -28, high_c: -18, for: "20m" } },
  { name: "freezer-2", devices: 5, base: -22, limits: { low_c: -28, high_c: -18, for: "20m" } },
  { name: "freezer-3", devices: 5, base: -23, limits: { low_c: -28, high_c: -18, for: "20m" } },
  { name: "office", devices: 4, base: 21, limits: null },
  { name: "server-room", devices: 4, base: 24, limits: { low_c: null, high_c: 30, for: "10m" } },
];

/** A number from 0 to 1 that depends on `text` alone. */
function chance(text) {
  let hash = 2166136261;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 12)) >>> 0) / 2 ** 32;
}

/** The rise of a door that is open from `begin` to `end`, and the cooling after it. */
function door(time, { begin, end, rise }) {
  if (time < begin) return 0;
  const open = Math.min(time, end) - begin;
  const warm = rise * (1 - Math.exp(-open / (12 * MINUTE)));
  return time <= end ? warm : warm * Math.exp(-(time - end) / (15 * MINUTE));
}

/** The house as it is at `now`. */
export class House {
  constructor(now) {
    this.now = now;
    this.begin = now - 40 * DAY;
    const minute = Math.floor(now / MINUTE) * MINUTE;
    /** Doors that were left open: one is still. */
    this.doors = [
      { room: "freezer-1", begin: minute - 38 * MINUTE, end: now, rise: 9 },
      { room: "freezer-1", begin: minute - 26 * HOUR, end: minute - 26 * HOUR + 40 * MINUTE, rise: 8 },
      { room: "freezer-3", begin: minute - 9 * HOUR, end: minute - 9 * HOUR + 40 * MINUTE, rise: 9 },
    ];
    this.silentSince = minute - 5 * HOUR;
    this.rooms = ROOMS.map((room) => ({ ...room, limits: room.limits && { ...room.limits } }));
    this.devices = this.rooms.flatMap((room) => Array.from({ length: room.devices }, (_, n) => ({
      device_id: `${room.name}-s${n + 1}`, region: room.name, offset: 0.6 * n - 1, expected_interval: null,
      newest: minute,
    })));
    this.tick(now);
    this.typo = { region: "frezer-1", device_id: "freezer-1-s5", timestamp: minute - 2 * DAY, temperature_c: -21.4 };
    /** A sensor that answered with its power-on value. */
    this.powerOn = { device_id: "freezer-3-s2", timestamp: minute - 7 * HOUR, temperature_c: 85 };
    this.corrections = [{
      made: new Date(minute - 6 * HOUR).toISOString(), device_id: "freezer-3-s2",
      timestamp: new Date(this.powerOn.timestamp).toISOString(), region: "freezer-3",
      expect_c: 85, temperature_c: null, reason: "power-on value of the sensor", by: "admin", state: "applied",
    }];
    this.renamings = [];
    this.conflictAt = minute - 4 * HOUR;
    this.lateAt = minute - 3 * HOUR;
  }

  /** Moves the clock: all sensors report each minute but one. */
  tick(now) {
    this.now = now;
    const minute = Math.floor(now / MINUTE) * MINUTE;
    for (const device of this.devices) {
      device.newest = device.device_id === "freezer-2-s3" ? this.silentSince : minute;
    }
  }

  room(name) {
    return this.rooms.find((room) => room.name === name);
  }

  device(id) {
    return this.devices.find(({ device_id }) => device_id === id);
  }

  isSilent(device) {
    return this.now - device.newest > this.silentAfter(device);
  }

  silentAfter({ expected_interval }) {
    if (expected_interval === "0") return null;
    const minutes = expected_interval?.match(/^(\d+)m$/);
    return minutes ? Math.max(2, 3 * Number(minutes[1])) * MINUTE : 3 * MINUTE;
  }

  /** What a device measured in the minute that begins at `time`; null if nothing. */
  reading(device, time) {
    if (time > device.newest || time < this.begin) return null;
    const { base } = this.room(device.region);
    const daily = 0.7 * Math.sin((2 * Math.PI * time) / DAY);
    const cycle = 0.5 * Math.sin((2 * Math.PI * time) / (50 * MINUTE) + device.offset);
    const noise = 0.4 * (chance(`${device.device_id} ${time}`) - 0.5);
    const warm = this.doors.filter(({ room }) => room === device.region)
      .reduce((sum, opened) => sum + door(time, opened) * (0.7 + 0.15 * (device.offset + 1)), 0);
    return Math.round(1000 * (base + device.offset + daily + cycle + noise + warm)) / 1000;
  }

  /** The figures of some devices' readings of `from` to `to`. Of long ranges a part
   * of the minutes is looked at, and the counts are scaled. */
  figures(devices, from, to) {
    const stride = Math.max(1, Math.ceil((to - from) / MINUTE / 240)) * MINUTE;
    let [count, sum, squares, min, max, oldest, newest] = [0, 0, 0, Infinity, -Infinity, null, null];
    const seen = new Set();
    for (let time = Math.ceil(from / stride) * stride; time < to; time += stride) {
      for (const device of devices) {
        const value = this.reading(device, time);
        if (value === null) continue;
        seen.add(device);
        [count, sum, squares] = [count + 1, sum + value, squares + value * value];
        [min, max] = [Math.min(min, value), Math.max(max, value)];
        oldest ??= time;
        newest = time;
      }
    }
    const average = sum / count;
    const isIn = (time) => from <= time && time < to;
    const known = (value) => (count ? value : null);
    const of = (region) => devices.some((device) => device.region === region);
    return {
      count: count * (stride / MINUTE), average_c: known(average), min_c: known(min), max_c: known(max),
      standard_deviation_c: known(Math.sqrt(Math.max(0, squares / count - average * average))),
      p50_c: known(average), p95_c: known(max), p99_c: known(max), devices: seen.size, device_average_c: known(average),
      late: of("freezer-1") && isIn(this.lateAt) ? 12 : 0, duplicates: 0,
      conflicts: of("freezer-3") && isIn(this.conflictAt) ? 2 : 0,
      corrected: of("freezer-3") && isIn(this.powerOn.timestamp) ? 1 : 0,
      oldest: known(new Date(oldest ?? 0).toISOString()), newest: known(new Date(newest ?? 0).toISOString()),
    };
  }

  /** The devices of a room, each with its newest reading. */
  latest(name) {
    return this.devices.filter(({ region }) => region === name)
      .map((device) => ({ ...device, device, temperature_c: this.reading(device, device.newest) }));
  }

  /** The times of `from` to `to` in which the warmest device of a room, or one device,
   * was outside the room's limits for long enough. */
  excursions(room, devices, from, to) {
    const { low_c, high_c } = room.limits ?? {};
    const least = Number(room.limits?.for?.match(/\d+/)?.[0] ?? 0) * MINUTE;
    const found = [];
    let open = null;
    const end = Math.min(to, this.now);
    for (let time = Math.ceil(from / MINUTE) * MINUTE; time < end; time += MINUTE) {
      const values = devices.map((device) => this.reading(device, time)).filter((value) => value !== null);
      const outside = values.filter((value) => (high_c != null && value > high_c) || (low_c != null && value < low_c));
      if (outside.length > 0) {
        open ??= { begin: time, extreme_c: outside[0], extreme_at: time, readings: 0, devices: 0, gaps: 0, kind: high_c != null && outside[0] > high_c ? "high" : "low" };
        open.readings += outside.length;
        open.devices = Math.max(open.devices, outside.length);
        const extreme = open.kind === "high" ? Math.max(...outside) : Math.min(...outside);
        if (Math.abs(extreme) < Math.abs(open.extreme_c)) Object.assign(open, { extreme_c: extreme, extreme_at: time });
        open.last = time;
      } else if (open) {
        found.push({ ...open, end: time });
        open = null;
      }
    }
    if (open) found.push({ ...open, end: null });
    return found.filter(({ begin, last }) => last - begin >= least);
  }
}
