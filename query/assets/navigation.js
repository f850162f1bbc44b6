// The links to the views that this node can fill, who looks at them, and the zone of all
// times.

import { access, isOut, logOut, mayRead } from "./access.js";
import { element, instant, setText } from "./format.js";
import { button, option } from "./rangebar.js";
import { may } from "./routes.js";
import { retentionInWords } from "./status.js";
import { chooseZone, onZone, zone, zones } from "./zone.js";

/** The views, with the route that each needs. */
const LINKS = [
  ["#/", "Regions", "/v1/regions"], ["#/compare", "Compare", "/v1/regions"], ["#/devices", "Devices", "/v1/devices"],
  ["#/corrections", "Corrections", "/v1/corrections"], ["#/conflicts", "Conflicts", "/v1/conflicts"],
  ["#/rejections", "Rejections", "/v1/rejections"], ["#/sources", "Sources", "/v1/sources"], ["#/quarantine", "Quarantine", "/v1/quarantine"],
  ["#/status", "Status", "/v1/status"], ["#/kiosk", "Wall", "/v1/devices"],
];
/** Views that belong to another one's link. */
const WITHIN = { "#/region": "#/", "#/device": "#/devices" };

const list = document.getElementById("views");
const kept = document.getElementById("kept");
const times = document.getElementById("times");
const session = document.getElementById("session");
const metrics = document.getElementById("metrics");

/** Shows the links, and which of them is open. */
export function showViews() {
  const made = isOut() ? [] : LINKS.filter(([, , pattern]) => may(pattern));
  const shown = [...list.querySelectorAll("a")].map((link) => link.getAttribute("href"));
  if (shown.join() !== made.map(([href]) => href).join()) {
    list.replaceChildren(...made.map(([href, textContent]) => element("li", {}, element("a", { href, textContent }))));
  }
  const open = location.hash.replace(/\?.*$/, "").replace(/^(#\/\w*).*$/, "$1") || "#/";
  for (const link of list.querySelectorAll("a")) {
    const isOpen = link.getAttribute("href") === (WITHIN[open] ?? open);
    if (isOpen) {
      link.setAttribute("aria-current", "page");
      // On a phone the links are in a row that scrolls.
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else link.removeAttribute("aria-current");
  }
}

/** Says whose session it is. */
export function showAccess() {
  const { auth, who, until } = access();
  session.hidden = auth !== "on";
  session.replaceChildren();
  if (auth === "on") {
    session.append(element("strong", { textContent: who, title: `Logged in until ${instant(until)}` }), button("Log out", leave));
  }
  metrics.hidden = isOut() || !mayRead("/metrics");
  if (isOut()) setText(kept, "");
}

/** Logs out. The next one begins with all regions. */
function leave() {
  history.replaceState(null, "", "#/");
  logOut();
}

/** Says in which zone all times are, and lets one choose where there are two. */
export function showZone() {
  const { node, here, unknown, choice, isOne } = zones();
  const why = unknown ? ` The node's zone is ${unknown}, which this browser does not know.` : "";
  if (isOne) {
    times.textContent = `Times are ${zone()}.${why}`;
    return;
  }
  const select = element("select", { onchange: () => chooseZone(select.value) },
    option("node", `${node} (${unknown ? "instead of the node's" : "the node's"})`), option("here", `${here} (yours)`));
  select.value = choice;
  times.replaceChildren(element("label", {}, "Times are ", select), why);
}

/** Says for how long single readings are kept. */
export function showRetention(status) {
  kept.textContent = retentionInWords(status) ?? "";
}

onZone(() => {
  showZone();
  showAccess();
});
