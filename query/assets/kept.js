// The last answers of each view, kept by the browser for a time without the service.
// They are shown as what they are: old, and of when.

const NAME = "isotherm-figures";
const KEPT_MAX = 40;
/** How often a view's answers are kept: each time is a write. */
const EVERY_MS = 30_000;
const written = new Map();

/** The name of what is kept for a view's address. */
const keyOf = (hash) => new URL(`kept?${encodeURIComponent(hash)}`, document.baseURI).href;

/** A browser has no store on a page that came without encryption. */
const isThere = () => "caches" in globalThis;

/** Keeps what a view has shown. */
export async function keep(hash, model) {
  if (!isThere() || Date.now() - (written.get(hash) ?? -Infinity) < EVERY_MS) return;
  written.set(hash, Date.now());
  try {
    const store = await caches.open(NAME);
    const key = keyOf(hash);
    await store.delete(key);
    await store.put(key, new Response(JSON.stringify({ at: Date.now(), model })));
    const all = await store.keys();
    for (const old of all.slice(0, Math.max(0, all.length - KEPT_MAX))) await store.delete(old);
  } catch {
    // Without room, nothing is kept.
  }
}

/** What was kept for a view: `{at, model}`, or null. */
export async function lastKept(hash) {
  if (!isThere()) return null;
  try {
    const answer = await (await caches.open(NAME)).match(keyOf(hash));
    return answer ? await answer.json() : null;
  } catch {
    return null;
  }
}
