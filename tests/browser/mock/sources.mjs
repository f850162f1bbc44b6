// The sources of the mock, in the form of docs/api.md: what is known of each, and the answers
// about them.

import { Refusal } from "./refusal.mjs";

const ago = (seconds) => new Date(Date.now() - 1000 * seconds).toISOString();
const NAME = /^[A-Za-z0-9._:-]{1,64}$/;

/** A source with all that is known of it. */
export function source(name, properties = {}) {
  return {
    name, kept_in: "stored", digest: "5f0e7c2ab1d94c365f0e7c2ab1d94c36", kept: 0, time_assumed: 0, newest: null, ignored: 0, void: 0, refused: {},
    devices: 0, unknown: [], bodies: [], mappings: [], ...properties,
  };
}

/** A mapping that readings were read by. */
const mapping = (digest, kept, assumed, oldest, newest) => ({ digest, kept, time_assumed: assumed, oldest: ago(oldest), newest: ago(newest) });

/** A device that is not in the table. */
export const stranger = (id, value, seconds, readings) => ({ id, temperature_c: value, timestamp: ago(seconds), readings });

/** Some of a house: one without trouble, one with all of it, one that nothing came for. */
export function someSources() {
  const body = (seconds, reason, pointer, detail, text) => ({ at: ago(seconds), reason, pointer, detail, query: "", body: text });
  return [
    source("cellar", {
      kept: 48_211, time_assumed: 48_211, newest: ago(12), ignored: 96_420, void: 31, devices: 4, kept_in: "variable",
      mappings: [mapping("5f0e7c2ab1d94c365f0e7c2ab1d94c36", 48_211, 48_211, 30 * 86_400, 12)],
    }),
    source("influx", { kept_in: null, digest: null, mappings: [] }),
    source("shelly", {
      kept: 1_204, time_assumed: 1_204, newest: ago(340), ignored: 0, void: 7, devices: 2,
      refused: { unknown_unit: 1, not_a_number: 2, unknown_device: 57, unreadable: 1 },
      mappings: [mapping("09aa41d7733be0f209aa41d7733be0f2", 1_100, 1_100, 12 * 86_400, 2 * 86_400), mapping("5f0e7c2ab1d94c365f0e7c2ab1d94c36", 104, 104, 2 * 86_400, 340)],
      unknown: [stranger("shellyht-0A0B0C", 21.38, 70, 41), stranger("Temperatur Wohnung/süd", -18.25, 3_600, 15), stranger("<b>x</b>", 4, 90_000, 1)],
      bodies: [
        { ...body(130, "not_a_number", "/tC", "\"${ev.tC}\" is no number; the device sent its template as it is", ""), query: "tC=${ev.tC}&id=shellyht-0D0E0F" },
        body(4_000, "unreadable", "", "the form has no = in its field 1", "<script>alert(1)</script>"),
        body(9_000, "unknown_unit", "/sensors/0/unit", "the unit \"X\" is not listed", `{"sensors":[${Array.from({ length: 105 }, (_, n) => `{"n":${n},"unit":"X"}`).join()}]}`),
      ],
    }),
  ];
}

/** What the list has of a source. */
function listed({ name, unknown, bodies: _bodies, ...known }) {
  return { source: name, ...known, unknown_devices: unknown.length };
}

function find({ mock, argument }) {
  const found = mock.sources.find(({ name }) => name === argument);
  if (!found) throw new Refusal(404, "no such source; make one by PUT /v1/sources/<source>");
  return found;
}

/** Hints on devices that seem to be set up wrong, while there are sources. */
const HINTS = [
  { device_id: "dock-s1", region: "dock", kind: "fahrenheit", detail: "its mean is 51.8, that of the other devices of the region 11.0 degrees Celsius: it may send Fahrenheit" },
  { device_id: "dock-s2", region: null, kind: "offset", detail: "its readings have come 7:00 hours late", late_ms: 25_200_000, since: "2026-11-20T00:00:00.000Z" },
];

export const sources = ({ mock }) => ({
  sources: mock.sources.map(listed), hints: mock.sources.length ? HINTS : [],
});
export const refused = (call) => ({ refused: find(call).bodies });
export const unknown = (call) => ({ devices: find(call).unknown });

/** Adopts a device. */
export function adopted(call) {
  const found = find(call);
  const { id, device, region } = call.body;
  for (const [key, name] of Object.entries({ device, region })) {
    if (!NAME.test(name)) throw new Refusal(400, `${key}: 1 to 64 of A-Z a-z 0-9 . _ : -`);
  }
  found.unknown = found.unknown.filter((one) => one.id !== id);
  found.devices += 1;
  return { id, device, region, since: null, rows: found.devices };
}

/** Reads a message as the mapping of a Shelly would. */
export function tried(call) {
  find(call);
  const { body, query, mapping: other } = call.body;
  if (other !== undefined && other !== "preset:shelly-gen1" && !other.take) throw new Refusal(400, "take: must be there");
  const text = new URLSearchParams(query || body).get("tC");
  const value = Number(text);
  const reading = Number.isNaN(value)
    ? { pointer: "/tC", reason: "not_a_number", detail: `"${text}" is no number` }
    : { pointer: "/tC", id: "shellyht-0D0E0F", sent: text, device_id: null, region: null, temperature_c: value, timestamp: ago(0), time_assumed: true, number: null };
  return {
    digest: "5f0e7c2ab1d94c365f0e7c2ab1d94c36", readings: text === null ? [] : [reading], ignored: text === null ? 1 : 0, void: 0, steps: 12,
    reply: { kept: [200, "text/plain", "ok"], ignored: [204, "", ""] },
  };
}
