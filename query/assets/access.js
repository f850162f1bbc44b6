// Who looks at this page: the session that the node knows by its cookie, what it allows, and
// the token for what changes something, as a session only reads. The token is in memory
// alone: a reload forgets it. What the browser keeps says who it was, and is no secret.

import { now, session, setAuthority } from "./api.js";
import { deleteKept, keepFor } from "./kept.js";
import { forgetNodeZone } from "./zone.js";

const KEPT = "isotherm-session";
/** How long to wait before a log-out without an answer is sent again. */
const AGAIN_MS = 5_000;
/** How long to wait at least before it is asked whether the session has ended. */
const PAUSE_MS = 1_000;
/** What only those see who may read every region. */
const OF_ALL = ["/v1/corrections", "/v1/quarantine", "/v1/senders", "/v1/sources", "/v1/sync"];

/** `auth` is null until it is known, then `on` or `off`; `none` where the node has no
 * such thing; `out` while nobody is logged in. `isOld` is whether it was true the last
 * time, of a node that does not answer. */
const UNKNOWN = { auth: null, who: null, scopes: [], until: null, why: null, isOld: true };
const OUT = { ...UNKNOWN, auth: "out", isOld: false };

let known = UNKNOWN;
let token = null;
let watching = null;
let ending = null;
const changed = new EventTarget();
/** The other tabs of this browser. */
const tabs = new BroadcastChannel(KEPT);

/** What is known of the one who looks. */
export const access = () => known;

/** Whether nobody is logged in where somebody has to be. */
export const isOut = () => known.auth === "out";

/** Calls `listener` whenever something of it has changed. */
export function onAccess(listener) {
  changed.addEventListener("change", listener);
}

/** Whether every region may be read. */
export const mayReadAll = () => known.auth !== "on" || known.scopes.includes("read:*");

/** Whether a route may be read, as `openapi.json` writes it. */
export function mayRead(pattern) {
  if (known.auth !== "on") return true;
  if (pattern === "/metrics") return known.scopes.includes("metrics");
  if (OF_ALL.includes(pattern)) return mayReadAll();
  return known.scopes.some((scope) => scope.startsWith("read:"));
}

/** Whether this page came in a way in which a token can be read, and no session is kept. */
export function isPlain() {
  const isHere = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);
  return location.protocol === "http:" && !isHere;
}

function set(next) {
  const same = ["auth", "who", "until", "why"].every((key) => known[key] === next[key]);
  const isSame = same && known.scopes.join() === next.scopes.join();
  known = next;
  if (!isSame) changed.dispatchEvent(new Event("change"));
}

// What the browser keeps.

function recorded() {
  try {
    return JSON.parse(localStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

function record(what) {
  try {
    if (what === null) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, JSON.stringify(what));
  } catch {
    // Until the page is closed.
  }
}

const ownerOf = ({ auth, who, scopes }) => JSON.stringify([auth, who, scopes]);

// What the node says.

/** Asks the node who this is. */
export async function learnAccess() {
  const last = recorded();
  if (last?.isEnding && !(await end())) return;
  try {
    take(await session());
  } catch (error) {
    if (error.status === 404) take({ auth: "none" });
    else if (error.status !== 401 && known.auth === null) takeRecorded(last);
  }
}

/** Takes what the node says. */
function take({ auth, who = null, scopes = [], until = null }) {
  const last = recorded();
  const next = { auth, who, scopes, until };
  if (!last?.scopes || ownerOf(last) !== ownerOf(next)) deleteKept();
  clearTimeout(ending);
  record(next);
  keepFor(ownerOf(next));
  watch(until);
  set({ ...next, why: null, isOld: false });
}

/** Takes what was true the last time, unless that session is over. */
function takeRecorded(last) {
  if (!last?.scopes) return;
  if (last.until !== null && Date.parse(last.until) <= Date.now()) {
    deleteKept();
    return;
  }
  keepFor(ownerOf(last));
  watch(last.until);
  set({ ...UNKNOWN, ...last });
}

/** Asks again when the session should have ended. */
function watch(until) {
  clearTimeout(watching);
  if (until === null) return;
  watching = setTimeout(async () => {
    try {
      take(await session());
    } catch {
      ended();
    }
  }, Math.max(PAUSE_MS, Date.parse(until) - now()));
}

/** Forgets the token and all that was kept of answers. */
function forget(why) {
  token = null;
  clearTimeout(watching);
  deleteKept();
  forgetNodeZone();
  set({ ...OUT, why });
}

/** The node knows no session of this browser. */
function ended() {
  if (isOut()) return;
  const wasIn = known.auth === "on" || recorded()?.auth === "on";
  record(null);
  forget(wasIn ? "ended" : null);
}

// What a person does.

/** Logs in. The node says why not; the browser does not say that it keeps no cookie. */
export async function logIn(text) {
  const begun = await session("POST", text);
  if (begun.auth !== "on") return void take(begun);
  const { scopes } = await session("GET", text);
  const found = await session().catch((error) => {
    if (error.status === 401) return null;
    throw error;
  });
  if (found?.who !== begun.who) throw new Error(whyNotKept());
  deleteKept();
  token = scopes.includes("admin") ? text : null;
  take(found);
  tabs.postMessage("in");
}

function whyNotKept() {
  return isPlain()
    ? "The token is right, but the browser keeps no session of a page that came over plain HTTP. Open it over HTTPS, or on the node itself at http://127.0.0.1."
    : "The token is right, but the browser keeps no session. Allow cookies for this address, and log in again.";
}

/** Logs out. What is shown and kept goes at once, and the session as soon as the node
 * answers. */
export function logOut() {
  record({ isEnding: true });
  forget("out");
  tabs.postMessage("out");
  return end();
}

/** Ends the session at the node; says whether it has. */
async function end() {
  clearTimeout(ending);
  try {
    await session("DELETE");
  } catch {
    ending = setTimeout(end, AGAIN_MS);
    set({ ...OUT, why: "ending" });
    return false;
  }
  record(null);
  if (isOut()) set({ ...OUT, why: "out" });
  return true;
}

// The token for what changes something.

/** The token, or null: after a reload, it has to be asked for. */
export const tokenInMemory = () => token;

/** Whether what needs the scope admin can be sent without asking for a token. */
export const mayAdminister = () => known.auth !== "on" || token !== null;

/** Takes a token that allows changes. */
export async function takeToken(text) {
  const { scopes } = await session("GET", text);
  if (!scopes.includes("admin")) throw new Error("This token allows no changes: it needs the scope admin.");
  token = text;
}

setAuthority({ ended, refused: () => { token = null; } });
tabs.onmessage = ({ data }) => {
  if (data === "out") {
    forget("out");
  } else {
    token = null;
    learnAccess();
  }
};
// A page that comes back as it was left.
addEventListener("pageshow", ({ persisted }) => persisted && learnAccess());
