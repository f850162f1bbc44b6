// The last answers of each view, kept by the browser for a time without the service.
// They are shown as what they are: old, and of when; and only to whom they were given.

const NAME = "isotherm-figures";
const KEPT_MAX = 40;
/** How often a view's answers are kept: each time is a write. */
const EVERY_MS = 30_000;
const written = new Map();
/** Whose answers are kept and shown; while it is null, none are. */
let owner = null;
/** How often all was deleted. What began before is not kept. */
let deletions = 0;

/** The name of what is kept for a view's address. */
const keyOf = (hash) => new URL(`kept?${encodeURIComponent(hash)}`, document.baseURI).href;

/** A browser has no store on a page that came without encryption. */
const isThere = () => "caches" in globalThis;

/** Says whose answers come from now on. */
export function keepFor(name) {
  owner = name;
}

/** Deletes all that is kept, of whomever. */
export async function deleteKept() {
  [owner, deletions] = [null, deletions + 1];
  written.clear();
  if (isThere()) await caches.delete(NAME).catch(() => {});
}

/** Keeps what a view has shown. */
export async function keep(hash, model) {
  if (!isThere() || owner === null || Date.now() - (written.get(hash) ?? -Infinity) < EVERY_MS) return;
  written.set(hash, Date.now());
  const begun = deletions;
  try {
    const text = JSON.stringify({ at: Date.now(), owner, model });
    const store = await caches.open(NAME);
    const key = keyOf(hash);
    await store.delete(key);
    await store.put(key, new Response(text));
    if (begun !== deletions) await caches.delete(NAME);
    const all = await store.keys();
    for (const old of all.slice(0, Math.max(0, all.length - KEPT_MAX))) await store.delete(old);
  } catch {
    // Without room, nothing is kept.
  }
}

/** What was kept for a view: `{at, model}`, or null. */
export async function lastKept(hash) {
  if (!isThere() || owner === null) return null;
  try {
    const answer = await (await caches.open(NAME)).match(keyOf(hash));
    const kept = answer ? await answer.json() : null;
    return kept?.owner === owner ? kept : null;
  } catch {
    return null;
  }
}
