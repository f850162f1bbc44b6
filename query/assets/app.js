// The page: which view is open, and how it is kept up to date.

import { access, isOut, learnAccess, onAccess } from "./access.js";
import { get } from "./api.js";
import { Compare } from "./compare.js";
import { Corrections } from "./corrections.js";
import { Device } from "./device.js";
import { Devices } from "./devices.js";
import { duration, element, instant, sentence } from "./format.js";
import { keep, lastKept } from "./kept.js";
import { Kiosk } from "./kiosk.js";
import { Conflicts, Quarantine, Rejections } from "./lists.js";
import { closeQuestion, Login } from "./login.js";
import { showAccess, showRetention, showViews, showZone } from "./navigation.js";
import { Overview } from "./overview.js";
import { Region } from "./region.js";
import { has, knowsRoutes, learnRoutes, may } from "./routes.js";
import { Sources } from "./sources.js";
import { Status } from "./status.js";
import { onZone, takeNodeZone } from "./zone.js";

const POLL_MS = 2_000;
const POLL_MS_MAX = 30_000;
const TOLD_POLL_MS = 10_000;

/** The views by the first part of the address; the second one is a name. */
const VIEWS = {
  "": Overview, compare: Compare, devices: Devices, conflicts: Conflicts, quarantine: Quarantine,
  rejections: Rejections, sources: Sources, corrections: Corrections, status: Status, kiosk: Kiosk,
};
const NAMED = { region: Region, device: Device };
/** What a view can't do without, where not every node has it. */
const NEEDED = {
  devices: "/v1/devices", rejections: "/v1/rejections", sources: "/v1/sources", corrections: "/v1/corrections", status: "/v1/status",
};

const main = document.getElementById("main");
const state = document.getElementById("state");
const notice = document.createElement("p");
notice.className = "notice";
notice.setAttribute("role", "alert");

/** The view that is open, and the form of those who have to log in: one of them. */
let view = null;
let login = null;
let opened = null;
let timer = null;
let learning = null;
let failures = 0;
/** The figures that are shown, when they came, and whether they are old. */
let lastModel = null;
let lastGood = null;
let isOld = false;

function say(name, words, warning = null) {
  state.dataset.state = name;
  document.body.classList.toggle("old", isOld);
  if (state.textContent !== words) state.textContent = words;
  if (warning === null) {
    notice.remove();
    return;
  }
  if (notice.textContent !== warning) notice.textContent = warning;
  if (!notice.isConnected) main.before(notice);
}

/** The view that the address asks for. What is no address of one opens the overview. */
function asked() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind, name] = path.split("/");
  try {
    const decoded = decodeURIComponent(name ?? "");
    if (decoded && NAMED[kind]) return { View: NAMED[kind], name: decoded, query: new URLSearchParams(query) };
  } catch {
    // The name can't be decoded.
  }
  const isThere = VIEWS[kind] && (!NEEDED[kind] || has(NEEDED[kind]));
  return { View: isThere ? VIEWS[kind] : Overview, name: "", query: new URLSearchParams(query) };
}

/** Takes everything away that is shown. */
function close() {
  view?.close();
  view = opened = lastModel = lastGood = null;
  isOld = false;
  failures = 0;
  clearTimeout(timer);
  clearTimeout(learning);
  closeQuestion();
}

/** In place of a view that may not be read: what is missing. */
class Refused {
  constructor(main, title, words) {
    this.title = title;
    main.replaceChildren(element("h1", { textContent: title || "Regions" }), element("p", { textContent: sentence(words) }),
      element("p", { className: "quiet", textContent: "Log in with a token that has it, or ask the operator of this node for one." }),
      element("p", {}, element("a", { href: "#/", textContent: "All regions" })));
  }

  close() {}
}

/** Opens the view of the address, or takes the new address into the one that is open.
 * Says whether it is another view. */
function open() {
  const { View, name, query } = asked();
  const isSame = view?.navigate && opened.View === View && opened.name === name;
  if (isSame) {
    view.navigate(query);
  } else {
    view?.close();
    opened = { View, name };
    view = new View(main, name, query, refresh);
    lastModel = lastGood = null;
    isOld = false;
    say("loading", "Loading");
  }
  document.title = view.title ? `${view.title} · Isotherm` : "Isotherm";
  showViews();
  refresh();
  return !isSame;
}

// The service says when something was counted. Without a word from it (another
// runtime, a proxy that holds events back), the page asks more often.
let source = null;
let isTold = false;

function listen() {
  source?.close();
  if (isOut()) return;
  source = new EventSource("v1/events");
  source.addEventListener("readings", () => {
    isTold = true;
    refresh();
  });
  source.onerror = () => {
    isTold = false;
    // The browser connects again by itself, unless it was refused. Why, it does not tell:
    // perhaps the session has ended.
    if (source.readyState === EventSource.CLOSED) learnAccess();
  };
}

async function refresh() {
  clearTimeout(timer);
  if (!view?.load) return;
  const [shown, hash] = [view, location.hash];
  const isShown = () => shown === view && hash === location.hash;
  try {
    const model = await shown.load();
    if (!isShown()) return;
    shown.show(model);
    lastModel = model;
    failures = 0;
    told(model.answer);
    if (!model.answer.stale) keep(hash, model);
  } catch (error) {
    if (!isShown()) return;
    failures += 1;
    await failed(error, shown, hash);
    if (!isShown()) return;
  }
  if (!document.hidden) {
    clearTimeout(timer);
    const pause = isTold && failures === 0 ? TOLD_POLL_MS : POLL_MS;
    timer = setTimeout(refresh, Math.min(pause * 2 ** Math.min(failures, 8), POLL_MS_MAX));
  }
}

function told({ stale, as_of, unfolded_entries, complete = true }) {
  const missing = complete ? "" : " The list may not have all regions.";
  isOld = Boolean(stale);
  if (stale) {
    const waiting = unfolded_entries == null ? "" : ` ${unfolded_entries} acknowledged requests wait to be counted.`;
    say("stale", "Stale", `The regions database is away. These are the last good figures, as of ${instant(as_of)}.${waiting}${missing}`);
    return;
  }
  lastGood = Date.now();
  say("live", "Live", missing.trim() || null);
}

async function failed(error, shown, hash) {
  if (error.status === 403) {
    close();
    view = new Refused(main, shown.title, error.message);
    say("error", "Not allowed");
    return;
  }
  if (error.status === 404) {
    isOld = false;
    say("error", "Not there", opened.View === Device
      ? "No reading of this device has been counted yet. It appears here with its first reading."
      : "No reading has named this region yet. It appears here with its first reading.");
    return;
  }
  // Without a status, it is not the service's failure but a mistake here.
  if (error.status === undefined) console.error(error);
  // Nothing is shown yet: the last figures that this browser has, if it has any.
  if (lastGood === null && !(error.status >= 400 && error.status < 500)) {
    const kept = await lastKept(hash);
    if (shown !== view || hash !== location.hash) return;
    if (kept) [lastModel, lastGood] = [kept.model, kept.at];
  }
  isOld = lastGood !== null;
  // Once more, so that how long ago something was goes on.
  if (isOld && lastModel) shown.show(lastModel, lastGood);
  const old = isOld ? ` What is shown is of ${instant(lastGood)}, ${duration(Date.now() - lastGood)} ago.` : "";
  say("error", isOld ? "Old" : "No answer", `${error.status ? "The service can't answer" : "No answer"}: ${error.message}.${old} Trying again.`);
}

/** Learns what the node can do, in which zone it is, and for how long it keeps readings. */
async function learn() {
  clearTimeout(learning);
  const wasKnown = knowsRoutes();
  try {
    await learnRoutes();
    if (may("/v1/status")) {
      const status = await get("v1/status");
      takeNodeZone(status.time_zone);
      showRetention(status);
    }
    // Who looks was learned before; what is known of it may be of the last time.
    if (access().isOld) throw new Error("not known yet");
  } catch {
    // Without an answer, the page opens all the same, and learns it later.
    if (!isOut()) learning = setTimeout(learnAgain, POLL_MS_MAX);
  }
  if (!view || wasKnown || !knowsRoutes()) return;
  close();
  open();
}

async function learnAgain() {
  await learnAccess();
  if (!isOut()) await learn();
}

/** Whose views are shown, and what they may. */
let rights = null;

/** Shows the view of the address to whom it may, and to others the form that logs in. */
async function arrive() {
  showAccess();
  const { auth, who, scopes } = access();
  const others = JSON.stringify([auth, who, scopes]);
  if (others === rights) return void login?.explain();
  rights = others;
  close();
  login = null;
  if (isOut()) {
    leave();
    return;
  }
  main.replaceChildren();
  await learn();
  if (rights !== others) return;
  showZone();
  open();
  listen();
}

/** Leaves the page to those who log in. The address stays. */
function leave() {
  source?.close();
  isTold = false;
  showViews();
  document.title = "Log in · Isotherm";
  say("out", "Not logged in");
  login = new Login(main);
}

async function start() {
  await Promise.all([learnAccess(), learnRoutes().catch(() => {})]);
  onAccess(arrive);
  await arrive();
}

addEventListener("hashchange", () => {
  // The link that skips to the content is no address of a view.
  if (location.hash === "#main" || !view) return;
  if (open()) main.focus();
});
onZone(() => view && open());
document.addEventListener("visibilitychange", () => {
  // A page that nobody looks at holds no connection: browsers have six a host.
  if (document.hidden) {
    clearTimeout(timer);
    source?.close();
    isTold = false;
  } else if (view) {
    listen();
    refresh();
  }
});
// What is kept for a time without the service needs encryption, or this machine.
navigator.serviceWorker?.register("assets/sw.js", { scope: "./" }).catch(() => {});
start();
