// Files that the browser saves.

import { element } from "./format.js";

/** Saves what was answered as a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}
