// Tables: what they have in common, and links to what they name.

import { isAddressable } from "./api.js";
import { element } from "./format.js";

function cellOf(tag, content) {
  const isNode = content instanceof Node;
  return isNode ? element(tag, {}, content) : element(tag, { textContent: content ?? "–" });
}

/** A column of numbers, which are read from their right ends. */
export const numbers = (name) => ({ name });

/** A table with a caption, that scrolls within itself where it is too wide. A cell is
 * text or an element; a row may have a `className`. */
export function table(caption, columns, rows) {
  const head = columns.map((column) => element("th", { scope: "col", textContent: column.name ?? column }));
  const cells = rows.map((row) => row.map((content) => cellOf("td", content)));
  for (const row of [head, ...cells]) {
    row.forEach((cell, index) => cell.classList.toggle("number", columns[index]?.name !== undefined));
  }
  const body = cells.map((row, index) => element("tr", { className: rows[index].className ?? "" }, ...row));
  const made = element("table", { className: "rows" }, element("caption", { className: "quiet", textContent: caption }),
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  const scroll = element("div", { className: "scroll", tabIndex: 0 }, made);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", caption);
  return scroll;
}

function linkTo(kind, name) {
  if (name == null) return "–";
  if (!isAddressable(name)) return name;
  return element("a", { href: `#/${kind}/${encodeURIComponent(name)}`, textContent: name });
}

/** A link to a region's view. */
export const regionLink = (name) => linkTo("region", name);

/** A link to a device's view. */
export const deviceLink = (name) => linkTo("device", name);

/** Replaces the children of `node`, unless they would be the same: what a person has
 * selected, focused or scrolled to stays. */
export function replaceWith(node, ...made) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  const { scrollLeft = 0 } = focused?.matches(".scroll") ? focused : {};
  const isSame = node.children.length === made.length && made.every((each, index) => node.children[index].isEqualNode(each));
  if (isSame || (focused && focused.matches("input, select"))) return;
  node.replaceChildren(...made);
  // The focus goes to the table of the same name, which stays where it was scrolled to.
  const label = focused?.matches(".scroll") ? focused.getAttribute("aria-label") : null;
  const table = label && [...node.querySelectorAll(".scroll")].find((made) => made.getAttribute("aria-label") === label);
  if (table) {
    table.scrollLeft = scrollLeft;
    table.focus({ preventScroll: true });
  }
  // The focus goes to the link of the same address.
  const href = focused?.getAttribute("href");
  if (href) [...node.querySelectorAll("a")].find((link) => link.getAttribute("href") === href)?.focus({ preventScroll: true });
}

/** A list of terms and what they are. */
export function terms(pairs, className = "figures panel") {
  return element("dl", { className }, ...pairs.map(([name, content]) =>
    element("div", {}, element("dt", { textContent: name }), cellOf("dd", content))));
}
