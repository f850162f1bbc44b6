// The page: which view is open, and how it is kept up to date.

import { get } from "./api.js";
import { Compare } from "./compare.js";
import { Corrections } from "./corrections.js";
import { Device } from "./device.js";
import { Devices } from "./devices.js";
import { duration, instant } from "./format.js";
import { keep, lastKept } from "./kept.js";
import { Kiosk } from "./kiosk.js";
import { Conflicts, Quarantine, Rejections } from "./lists.js";
import { showRetention, showViews, showZone } from "./navigation.js";
import { Overview } from "./overview.js";
import { Region } from "./region.js";
import { has, knowsRoutes, learnRoutes } from "./routes.js";
import { Status } from "./status.js";
import { onZone, takeNodeZone } from "./zone.js";

const POLL_MS = 2_000;
const POLL_MS_MAX = 30_000;
const TOLD_POLL_MS = 10_000;

/** The views by the first part of the address; the second one is a name. */
const VIEWS = {
  "": Overview, compare: Compare, devices: Devices, conflicts: Conflicts, quarantine: Quarantine,
  rejections: Rejections, corrections: Corrections, status: Status, kiosk: Kiosk,
};
const NAMED = { region: Region, device: Device };
/** What a view can't do without, where not every node has it. */
const NEEDED = {
  devices: "/v1/devices", rejections: "/v1/rejections", corrections: "/v1/corrections", status: "/v1/status",
};

const main = document.getElementById("main");
const state = document.getElementById("state");
const notice = document.createElement("p");
notice.className = "notice";
notice.setAttribute("role", "alert");

let view = null;
let opened = null;
let timer = null;
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
  source = new EventSource("v1/events");
  source.addEventListener("readings", () => {
    isTold = true;
    refresh();
  });
  source.onerror = () => {
    isTold = false;
    // The browser connects again by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) source.close();
  };
}

async function refresh() {
  clearTimeout(timer);
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
  const wasKnown = knowsRoutes();
  try {
    await learnRoutes();
    if (has("/v1/status")) {
      const status = await get("v1/status");
      takeNodeZone(status.time_zone);
      showRetention(status);
    }
  } catch {
    // Without an answer, the page opens all the same, and learns it later.
    setTimeout(learn, POLL_MS_MAX);
  }
  if (!view || wasKnown || !knowsRoutes()) return;
  view.close();
  view = null;
  open();
}

async function start() {
  await learn();
  showZone();
  open();
  listen();
}

addEventListener("hashchange", () => {
  // The link that skips to the content is no address of a view.
  if (location.hash === "#main") return;
  if (open()) main.focus();
});
onZone(() => view && open());
document.addEventListener("visibilitychange", () => {
  // A page that nobody looks at holds no connection: browsers have six a host.
  if (document.hidden) {
    clearTimeout(timer);
    source?.close();
    isTold = false;
  } else {
    listen();
    refresh();
  }
});
// What is kept for a time without the service needs encryption, or this machine.
navigator.serviceWorker?.register("assets/sw.js", { scope: "./" }).catch(() => {});
start();
