// The page: which view is open, and how it is kept up to date.

import { Overview } from "./overview.js";
import { Region } from "./region.js";
import { instant } from "./format.js";

const POLL_MS = 2_000;
const POLL_MS_MAX = 30_000;
const TOLD_POLL_MS = 10_000;

const main = document.getElementById("main");
const state = document.getElementById("state");
const notice = document.createElement("p");
notice.className = "notice";
notice.setAttribute("role", "alert");

let view = null;
let timer = null;
let failures = 0;
let lastGood = null;

function say(name, words, warning = null) {
  state.dataset.state = name;
  if (state.textContent !== words) state.textContent = words;
  if (warning === null) {
    notice.remove();
    return;
  }
  if (notice.textContent !== warning) notice.textContent = warning;
  if (!notice.isConnected) main.before(notice);
}

/** The view that the address asks for. */
function open() {
  view?.close();
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind, name] = path.split("/");
  let region = "";
  try {
    region = kind === "region" ? decodeURIComponent(name ?? "") : "";
  } catch {
    // What is no address of a region opens the overview.
  }
  view = region ? new Region(main, region, new URLSearchParams(query)) : new Overview(main);
  document.title = region ? `${region} · Isotherm` : "Isotherm";
  lastGood = null;
  say("loading", "Loading");
  refresh();
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
  const asked = view;
  try {
    const answer = await asked.refresh();
    if (asked !== view) return;
    failures = 0;
    told(answer);
  } catch (error) {
    if (asked !== view) return;
    failures += 1;
    failed(error);
  }
  if (!document.hidden) {
    const pause = isTold && failures === 0 ? TOLD_POLL_MS : POLL_MS;
    timer = setTimeout(refresh, Math.min(pause * 2 ** Math.min(failures, 8), POLL_MS_MAX));
  }
}

function told({ stale, as_of, unfolded_entries, complete = true }) {
  const missing = complete ? "" : " The list may not have all regions.";
  if (stale) {
    const waiting = unfolded_entries == null ? "" : ` ${unfolded_entries} acknowledged requests wait to be counted.`;
    say("stale", "Stale", `The regions database is away. These are the last good figures, as of ${instant(as_of)}.${waiting}${missing}`);
    return;
  }
  lastGood = Date.now();
  say("live", "Live", missing.trim() || null);
}

function failed(error) {
  if (error.status === 404) {
    say("error", "Not there", "No reading has named this region yet. It appears here with its first reading.");
    return;
  }
  const shown = lastGood === null ? "" : ` What is shown is of ${instant(lastGood)}.`;
  // 503 has a reason; anything else that is not the service's is a mistake here.
  if (error.status === undefined) console.error(error);
  say("error", "No answer", `${error.status ? "The service can't answer" : "No answer"}: ${error.message}.${shown} Trying again.`);
}

addEventListener("hashchange", () => {
  // The link that skips to the content is no address of a view.
  if (location.hash === "#main") return;
  open();
  main.focus();
});
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
open();
listen();
