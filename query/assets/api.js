// The service as the page asks it. The browser keeps answers with their entity
// tags, so what has not changed is not sent again.

/** An answer that is no success, or none at all (status 0). */
export class Failure extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const TIMEOUT_MS = 15_000;

async function ask(path, accept) {
  let answer;
  try {
    // Relative, so that the service may be below a path of a proxy.
    answer = await fetch(path.replace(/^\//, ""), {
      headers: { accept },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Failure(0, "the service can't be reached");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Failure(answer.status, problem.detail ?? `status ${answer.status}`);
  }
  return answer;
}

// How far the node's clock is ahead of this one, in ms. An answer was made
// before it came, so of all differences the largest is the nearest.
let ahead = -Infinity;

/** The node's clock, as far as it is known, in Unix milliseconds. */
export function now() {
  return Date.now() + (Number.isFinite(ahead) ? ahead : 0);
}

/** The JSON at `path`. */
export async function get(path) {
  const body = await (await ask(path, "application/json")).json();
  if (body.as_of) ahead = Math.max(ahead, Date.parse(body.as_of) - Date.now());
  return body;
}

/** The JSON at `path` with the records of all its pages in `list`. */
export async function getAll(path, list) {
  const first = await get(path);
  const records = [...first[list]];
  for (let { next } = first; next;) {
    const page = await get(next);
    records.push(...page[list]);
    next = page.next;
  }
  return { ...first, [list]: records };
}

/** The CSV at `path`. */
export async function csv(path) {
  return (await ask(path, "text/csv")).blob();
}

/** Whether a URL can have a name in its path. A dot and two dots are steps there,
 * percent-encoded or not, so the request would be for something else. */
export function isAddressable(name) {
  return name !== "." && name !== "..";
}

/** The path of a region, or of what is below it. */
export function ofRegion(name, below = "", query = {}) {
  if (!isAddressable(name)) throw new Failure(0, "no URL can have this name");
  const search = new URLSearchParams(query).toString();
  return `v1/regions/${encodeURIComponent(name)}${below}${search && `?${search}`}`;
}
