// What this node can do. Its description of the interface names its routes, so that
// the page asks for nothing that is not there, and hides what would need it.

import { mayRead } from "./access.js";
import { get } from "./api.js";

let paths = null;
let asking = null;

/** Asks once. Without an answer, it asks again the next time. */
export async function learnRoutes() {
  if (paths) return;
  asking ??= get("openapi.json").finally(() => { asking = null; });
  paths = (await asking).paths;
}

/** Whether it is known what the node can do. */
export function knowsRoutes() {
  return paths !== null;
}

/** Whether the node has a route, as `openapi.json` writes it, for a method. */
export function has(pattern, method = "get") {
  return paths?.[pattern]?.[method] !== undefined;
}

/** Whether the node has a route, and the session may read it. */
export function may(pattern) {
  return has(pattern) && mayRead(pattern);
}
