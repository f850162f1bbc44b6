// Other nodes, as the mock takes them: some that send to it, and peers that it sends to.

const ago = (seconds) => new Date(Date.now() - 1000 * seconds).toISOString();

/** Nodes that send: their last contact was so many `seconds` ago, and they have sent readings of
 * these `regions`. */
export const FRESH = { name: "gw-1", seconds: 7, minutes: 2, behind: 52, missing: 52, regions: ["dock", "loft"] };
export const SILENT = { name: "gw-2", seconds: 745, minutes: 1, behind: 9, missing: 4_312, regions: ["dock"] };
export const BEHIND = { name: "gw-3", seconds: 3, minutes: 640, behind: 38_211, missing: 38_211, regions: ["dock"] };
export const NAMELESS = { name: "", seconds: 12, minutes: 0, behind: 0, missing: 0 };
export const CLONED = { name: "gw-5", seconds: 2, minutes: 0, behind: 0, missing: 0, forks: 14 };

const PEER = {
  node: "be".repeat(16), tried: ago(6), answered: ago(6), failures: 0, error: null, next_try: null,
  behind_minutes: 1, behind_readings: 34, oldest_unsent: ago(60), batches_under_way: 1, aside: [],
  takes_from: ago(400 * 86_400), sent_readings: 1_204_331, sent_bytes: 5_420_188, sends: 90_412, sent_again: 0,
};

/** Peers that it sends to. */
export const REACHED = {
  ...PEER, peer: 1, origin: "https://hub.example", reachable: true, sent_again: 1,
  aside: [{ reason: "too_old", minutes: 3, readings: 17, oldest: ago(500 * 86_400) }],
};
export const LOST = {
  ...PEER, peer: 2, origin: "http://10.0.0.2:3000", reachable: false, answered: ago(7_200), failures: 41, error: "no answer in time: connection refused",
  next_try: new Date(Date.now() + 21_000).toISOString(), behind_minutes: 121, behind_readings: 43_560, oldest_unsent: ago(7_260),
};
export const NEVER_TRIED = {
  ...PEER, peer: 3, origin: "https://other.example", reachable: false, node: null, tried: null, answered: null,
  behind_minutes: 57_600, behind_readings: 2_304_000, oldest_unsent: ago(40 * 86_400), batches_under_way: 0, takes_from: "1970-01-01T00:00:00.000Z", sent_readings: 0, sent_bytes: 0, sends: 0,
};
