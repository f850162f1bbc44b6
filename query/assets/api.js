// The service as the page asks it. The browser keeps answers with their entity
// tags, so what has not changed is not sent again.

/** An answer that is no success, or none at all (status 0). `code` is that of the
 * problem. */
export class Failure extends Error {
  constructor(status, detail, code = null) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

const TIMEOUT_MS = 15_000;

/** Where the service is: a proxy may serve it below a path of its own. */
export const ROOT = new URL("../", import.meta.url);

/** Gives the token for what changes something, or null where none is needed; hears that
 * the service took it for none; and hears of a request that needed a session. */
const authority = { token: async () => null, refused: () => {}, ended: () => {} };

/** Sets who is asked for the token, and told of refusals. */
export function setAuthority(by) {
  Object.assign(authority, by);
}

/** The answer at `url`, which is relative to the service. */
async function ask(url, accept, sent = {}) {
  let answer;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    answer = await fetch(new URL(url, ROOT), { ...sent, headers: { accept, ...sent.headers }, signal });
  } catch {
    throw new Failure(0, "the service can't be reached");
  }
  if (!answer.ok) {
    const { detail, type } = await answer.json().catch(() => ({}));
    if (answer.status === 401 && !sent.headers?.authorization) authority.ended();
    throw new Failure(answer.status, detail ?? `status ${answer.status}`, type?.split(":").at(-1));
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

/** The URL of the page that follows an answer: `next` is a reference relative to
 * it (RFC 3986). In a path from the root, as the service has it, a proxy's path is
 * missing. */
function following(next, answerUrl) {
  return next.startsWith("/")
    ? new URL(next.slice(1), ROOT)
    : new URL(next, answerUrl);
}

/** The JSON at `url`, and the URL of the page that follows it, if one does. */
export async function getPage(url) {
  const answer = await ask(url, "application/json");
  const body = await answer.json();
  if (body.as_of) ahead = Math.max(ahead, Date.parse(body.as_of) - Date.now());
  return { body, next: body.next ? following(body.next, answer.url) : null };
}

/** The JSON at `path`. */
export async function get(path) {
  return (await getPage(path)).body;
}

/** What `ask` answers; if that fails, a document with the `problem` in words. So a part of a
 * view that fails leaves the others. */
export async function orProblem(ask) {
  try {
    return await ask();
  } catch (error) {
    // Without a status, it is not the service's failure but a mistake here. With 401, nobody is
    // logged in any more.
    if (error.status === undefined || error.status === 401) throw error;
    return { problem: error.message };
  }
}

/** The JSON at `path` with the records of all its pages in `list`. It is `complete`
 * unless one of them says that it has not all records. */
export async function getAll(path, list) {
  const pages = [];
  for (let url = path; url;) {
    const { body, next } = await getPage(url);
    pages.push(body);
    url = next;
  }
  const complete = pages.every((page) => page.complete !== false);
  return { ...pages[0], complete, [list]: pages.flatMap((page) => page[list]) };
}

/** The session as the service has it, asked for with `token` or by the cookie. `method`
 * begins or ends one. */
export async function session(method = "GET", token = null) {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const answer = await ask("v1/session", "application/json", { method, headers, cache: "no-store" });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

/** Sends a document, or none, and returns the answer's, if it has one. A session only
 * reads: where the node asks for a token, it is sent with what changes something, or may be
 * read with the scope admin alone. The browser keeps nothing of the answer. */
export async function send(method, path, document, type = "application/json") {
  const token = await authority.token();
  const headers = { ...(document !== undefined && { "content-type": type }), ...(token && { authorization: `Bearer ${token}` }) };
  const body = document === undefined ? {} : { body: JSON.stringify(document) };
  try {
    const answer = await ask(path, "application/json", { method, headers, cache: "no-store", ...body });
    const text = await answer.text();
    return text ? JSON.parse(text) : {};
  } catch (error) {
    if (token && [401, 403].includes(error.status)) authority.refused();
    throw error;
  }
}

/** The lines of all pages of the CSV at `path`, with the first page's header line. */
export async function allCsv(path) {
  const parts = [];
  for (let url = path; url;) {
    const answer = await ask(url, "text/csv");
    const text = await answer.text();
    parts.push(parts.length === 0 ? text : text.replace(/^[^\n]*\n/, ""));
    const next = answer.headers.get("link")?.match(/<([^>]*)>;\s*rel="next"/)?.[1];
    url = next ? following(next, answer.url) : null;
  }
  return new Blob(parts, { type: "text/csv" });
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

/** The query of a path. Times are text there: a number of long ago looks like seconds. */
function search(query) {
  const text = (key, value) =>
    (["from", "to"].includes(key) && typeof value === "number" ? new Date(value).toISOString() : value);
  const pairs = Object.entries(query).filter(([, value]) => value != null);
  const made = new URLSearchParams(pairs.map(([key, value]) => [key, text(key, value)])).toString();
  return made && `?${made}`;
}

function ofNamed(kind, name, below, query) {
  if (!isAddressable(name)) throw new Failure(0, "no URL can have this name");
  return `v1/${kind}/${encodeURIComponent(name)}${below}${search(query)}`;
}

/** The path of a region, or of what is below it. */
export function ofRegion(name, below = "", query = {}) {
  return ofNamed("regions", name, below, query);
}

/** The path of a device, or of what is below it. */
export function ofDevice(name, below = "", query = {}) {
  return ofNamed("devices", name, below, query);
}

/** The path of a source, or of what is below it. */
export function ofSource(name, below = "") {
  return ofNamed("sources", name, below, {});
}

/** The path of a list. */
export function ofList(path, query = {}) {
  return `v1/${path}${search(query)}`;
}
