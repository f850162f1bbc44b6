// How windows are asked for.

import { DAY } from "./format.js";
import { has } from "./routes.js";
import { zone } from "./zone.js";

/** The parameters of a time and its step. Steps of days are those of the zone that is
 * shown, where the node knows zones. */
export function stepQuery({ from, to, step, step_ms }) {
  const tz = step_ms >= DAY && has("/v1/status") ? { tz: zone() } : {};
  return { from, to, step, ...tz };
}
