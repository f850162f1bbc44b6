// Keeps the page's own files, so that it opens without the service. Figures are not
// answered from here: the page keeps them itself, and says how old they are.

const NAME = "isotherm-shell";
/** All files of the page; a test compares them with the directory. */
const FILES = [
  "access.js", "adoption.js", "api.js", "app.css", "app.js", "card.js", "chart.js", "colours.js", "compare.js",
  "corrections.js", "device.js", "devicelines.js", "devicerows.js", "devices.js", "download.js", "drawn.js", "exchange.js",
  "excursions.js", "extremes.js", "figures.js", "format.js", "forms.js", "icon-192.png", "icon-512.png", "icon.svg",
  "interval.js", "isotherm.webmanifest", "kept.js", "kiosk.css", "kiosk.js", "limits.js", "lists.js", "login.js",
  "navigation.js", "overview.js", "rangebar.js", "ranges.js", "region.js", "routes.js", "senders.js", "source.js",
  "sources.js", "spark.js", "status.js", "tables.js", "trial.js", "trouble.js", "uPlot.iife.min.js", "uPlot.min.css",
  "windows.js", "zone.js",
];
const shell = ["../", "../openapi.json", ...FILES];
const urls = new Set(shell.map((path) => new URL(path, location.href).href));
/** After this time without an answer, a file comes from here. */
const PATIENCE_MS = 4_000;

addEventListener("install", (event) => {
  // Past the browser's own cache: all files are of one release.
  const requests = shell.map((path) => new Request(path, { cache: "reload" }));
  event.waitUntil(caches.open(NAME).then((store) => store.addAll(requests)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  event.waitUntil(clients.claim());
});

/** What the service has, and only without an answer what is kept. */
async function answer(request, url) {
  const store = await caches.open(NAME);
  try {
    const found = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (found.ok) {
      await store.put(url, found.clone());
      return found;
    }
    // A proxy answers for a service that is gone.
    if (found.status < 500) return found;
  } catch {
    // No answer.
  }
  return (await store.match(url)) ?? Response.error();
}

addEventListener("fetch", (event) => {
  const url = event.request.url.replace(/#.*$/, "");
  if (event.request.method === "GET" && urls.has(url)) event.respondWith(answer(event.request, url));
});
