// Devices of a source that are not in its table: what each of them sent last, and a form that
// makes it a device in a region.

import { ofSource, send } from "./api.js";
import { field, form, textOf } from "./forms.js";
import { celsius, counted, element, instant, setText } from "./format.js";
import { button } from "./rangebar.js";

/** How many of them are shown at first, and with each *More*. */
const A_PAGE = 10;
/** The longest name of a device or a region. */
const NAME_MAX = 64;
const NONE = "Every device that sends is in the table, or the mapping says its region.";
const ABOUT = "Nothing of these is counted. Adopt a device, and what it sends from then on is counted. What was refused before is not: only the sender may still have it.";

/** The name of a device from an id as it is sent: other characters become `-`. */
export function folded(id) {
  const name = id.replace(/[^A-Za-z0-9._:-]/gu, "-").slice(0, NAME_MAX);
  // In a URL these are steps, and no names.
  return name === "." || name === ".." ? name.replaceAll(".", "-") : name;
}

/** Why the name of a device has to be looked at, or null. */
function hintOf(id, others) {
  if (others.some((other) => other !== id && folded(other) === folded(id))) {
    return "Another id gives the same name. Two ids with one name are one device.";
  }
  return id.includes("*") ? "The * in the id stands for any text: the row of the table is for all ids like it." : null;
}

/** One device, with its form. */
class Adoption {
  constructor({ id }, others, regions, adopt) {
    this.id = id;
    this.last = element("span", { className: "quiet" });
    const hint = hintOf(id, others);
    this.device = field("As device", { required: true, maxLength: NAME_MAX, value: hint ? "" : folded(id) }, hint);
    this.region = field("Into region", { required: true, maxLength: NAME_MAX });
    this.region.input.setAttribute("list", regions.id);
    this.form = form([this.device, this.region], "Adopt", () => adopt(this));
    this.form.setAttribute("aria-label", `Adopt ${id}`);
    this.form.querySelector("button").setAttribute("aria-label", `Adopt ${id}`);
    this.node = element("li", { className: "unknown" }, element("strong", { textContent: id }), " ", this.last, this.form);
  }

  show({ temperature_c: value, timestamp, readings }, isAllowed) {
    this.seen = `${timestamp} ${readings}`;
    setText(this.last, `${celsius(value)} at ${instant(timestamp)}, ${counted(readings, "reading", "readings")} refused`);
    this.form.hidden = !isAllowed;
  }
}

/** The devices of a source that are not in its table. */
export class Unknown {
  /** `regions` is a list of names for the fields; `changed` is called when a device was
   * adopted. */
  constructor(source, regions, changed) {
    Object.assign(this, { source, regions, changed, limit: A_PAGE });
    /** The devices that are shown, by their ids. Each stays where it is while it is there,
     * as somebody may be about to adopt it. */
    this.rows = new Map();
    /** What was seen of those that were adopted: an answer from before may still list them. */
    this.adopted = new Map();
    this.words = element("p", { className: "quiet about", textContent: "Loading" });
    this.said = element("p", { className: "said", tabIndex: -1 });
    this.said.setAttribute("role", "status");
    this.list = element("ul", { className: "plain" });
    this.more = button("More devices", () => { this.limit += A_PAGE; this.arrange(); }, { hidden: true });
    this.node = element("section", {}, element("h3", { textContent: "Unknown devices" }), this.words, this.said, this.list, this.more);
  }

  /** Shows the answer about them, or why there is none. */
  show(answer, isAllowed) {
    this.isAllowed = isAllowed;
    if (answer.problem) return void setText(this.words, `Not known: ${answer.problem}`);
    this.devices = answer.devices.filter(({ id, timestamp, readings }) => this.adopted.get(id) !== `${timestamp} ${readings}`);
    this.arrange();
  }

  arrange() {
    const known = new Map(this.devices.map((device) => [device.id, device]));
    for (const [id, row] of this.rows) {
      if (!known.has(id)) this.remove(row);
    }
    const others = [...known.keys()];
    for (const device of this.devices) {
      if (!this.rows.has(device.id) && this.rows.size < this.limit) this.add(device, others);
    }
    for (const [id, row] of this.rows) row.show(known.get(id), this.isAllowed);
    setText(this.words, this.devices.length === 0 ? NONE : ABOUT);
    this.more.hidden = this.devices.length <= this.rows.size;
    setText(this.more, `More devices (${this.devices.length - this.rows.size})`);
  }

  add(device, others) {
    const row = new Adoption(device, others, this.regions, (adopted) => this.adopt(adopted));
    this.rows.set(device.id, row);
    this.list.append(row.node);
  }

  remove(row) {
    const hadFocus = row.node.contains(document.activeElement);
    row.node.remove();
    this.rows.delete(row.id);
    if (hadFocus) this.said.focus();
  }

  async adopt(row) {
    const [device, region] = [textOf(row.device), textOf(row.region)];
    await send("POST", ofSource(this.source, "/devices"), { id: row.id, device, region });
    this.adopted.set(row.id, row.seen);
    this.devices = this.devices.filter(({ id }) => id !== row.id);
    setText(this.said, `${row.id} is the device ${device} in ${region} now.`);
    // The button, which had the focus, was disabled meanwhile.
    this.said.focus();
    this.arrange();
    this.changed(region);
    return "";
  }
}
