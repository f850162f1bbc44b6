// The nodes that send to this one: whether their readings are here, in a sentence above the
// figures that may lack some, and in a table.

import { getAll, orProblem } from "./api.js";
import { age, count, counted, element, largest, moment, setText } from "./format.js";
import { may } from "./routes.js";
import { numbers, replaceWith, table } from "./tables.js";

/** The readings of so many minutes are on their way at any time. */
const MINUTES_ON_THE_WAY = 2;
/** How many nodes are named in a sentence. */
const NAMES_MAX = 3;
/** How many digits of an estimate are said. */
const DIGITS = 2;
/** How many rows the overview has. */
const ROWS_MAX = 8;

/** Asks for the nodes that send to the one that gave this answer; null where there are none,
 * or where this is not known. */
export async function sendersOf(answer) {
  if (!answer.senders || !may("/v1/senders")) return null;
  const list = await orProblem(() => getAll("v1/senders", "nodes"));
  return list.problem ? null : list;
}

/** What a node is called: by its name, or the beginning of its id. */
export const calledOf = ({ name, node }) => name || node.slice(0, 8);

const isBehind = ({ behind_minutes: minutes }) => minutes > MINUTES_ON_THE_WAY;
const isIncomplete = (node) => node.silent || isBehind(node);

/** How long a silent node has been silent. */
const silence = ({ contact }, { as_of: now }) => largest(Date.parse(now) - Date.parse(contact));

/** The state of a node, in words. */
export function stateOf(node, list) {
  if (node.silent) return `silent for ${silence(node, list)}`;
  return isBehind(node) ? `behind by ${counted(node.behind_readings, "reading", "readings")}` : "up to date";
}

/** Those that lack something first, and of these those that lack most. */
export function ordered({ nodes }) {
  return nodes.toSorted((a, b) => isIncomplete(b) - isIncomplete(a) || (isIncomplete(a) ? b.missing_readings - a.missing_readings : 0));
}

/** A number of readings that is about right. */
function about(readings) {
  const rounded = Number(readings.toPrecision(DIGITS));
  return `about ${counted(rounded, "reading", "readings")}`;
}

const missing = (readings) => (readings > 0 ? [`${about(readings)} ${readings === 1 ? "is" : "are"} missing`] : []);

/** What is wrong with the nodes of a list, in parts of a sentence; none if nothing is. */
function partsOfList(list) {
  const all = list.nodes.length;
  const wrong = ordered(list).filter(isIncomplete);
  if (wrong.length === 0) return [];
  const good = all - wrong.length;
  const first = all === 1 ? "The node that sends here is not up to date"
    : `${good === 0 ? "None" : count(good)} of ${count(all)} nodes that send here ${good === 1 ? "is" : "are"} up to date`;
  const named = wrong.slice(0, NAMES_MAX).map((node) => (node.silent
    ? `${calledOf(node)} has been silent for ${silence(node, list)}`
    : `${calledOf(node)} is behind by ${about(node.behind_readings)}`));
  const more = wrong.length - NAMES_MAX;
  const sum = wrong.reduce((total, { missing_readings: some }) => total + some, 0);
  return [first, ...named, ...(more > 0 ? [`${count(more)} more ${more === 1 ? "is" : "are"} silent or behind`] : []), ...missing(sum)];
}

/** The same from what every answer says, where the nodes themselves may not be read. */
export function silentNodes({ senders, silent_senders: silent, missing_readings: readings }) {
  if (!silent) return [];
  return [`${count(silent)} of ${counted(senders, "node that sends", "nodes that send")} here ${silent === 1 ? "is" : "are"} silent`, ...missing(readings)];
}

/** The sentence that says which nodes are silent or behind. It is hidden while none is. */
export class Completeness {
  /** `ending` follows where readings are missing. */
  constructor(ending = "") {
    this.ending = ending;
    this.words = element("span");
    this.link = element("a", { href: "#/status", textContent: "How each of them is", hidden: true });
    this.node = element("p", { className: "alarm", hidden: true }, this.words, " ", this.link);
    this.node.setAttribute("role", "status");
  }

  show(answer, list) {
    const parts = list ? partsOfList(list) : silentNodes(answer);
    const ending = this.ending && answer.missing_readings > 0 ? ` ${this.ending}` : "";
    this.node.hidden = parts.length === 0;
    setText(this.words, parts.length === 0 ? "" : `${parts.join("; ")}.${ending}`);
    this.link.hidden = !list;
  }
}

/** A row for each node, and what is not said here. */
export class Senders {
  constructor() {
    this.rows = element("div");
    this.more = element("p", { className: "quiet" });
    this.node = element("section", { hidden: true }, element("h2", { textContent: "Nodes that send here" }), this.rows, this.more);
  }

  show(answer, list) {
    this.node.hidden = !answer.senders;
    const shown = list ? ordered(list).slice(0, ROWS_MAX) : [];
    replaceWith(this.rows, ...(list ? [table("Nodes that send here, those that lack something first",
      ["Node", "State", "Last contact", "Silent since", numbers("Behind"), numbers("Missing")], shown.map((node) => this.row(node, list)))] : []));
    setText(this.more, this.moreText(answer, list, shown.length));
  }

  row(node, list) {
    const { silent, contact, behind_readings: behind, missing_readings: lacking } = node;
    const row = [calledOf(node), stateText(node, list), age(Date.parse(list.as_of) - Date.parse(contact)), silent ? moment(contact) : "–",
      count(behind), silent ? `about ${count(lacking)}` : count(lacking)];
    row.className = isIncomplete(node) ? "silent" : "";
    return row;
  }

  moreText({ senders, silent_senders: silent, missing_readings: readings }, list, shown) {
    if (!list) return `${counted(senders, "node sends", "nodes send")} here, ${silent ? `${count(silent)} of them silent` : "none of them silent"}; ${counted(readings, "reading is", "readings are")} on the way or missing.`;
    const more = list.nodes.length - shown;
    return more > 0 ? `${counted(more, "more node is", "more nodes are")} listed in Status.` : "";
  }
}

/** The state as a cell. */
export function stateText(node, list) {
  return element("span", { className: isIncomplete(node) ? "trouble" : "", textContent: stateOf(node, list) });
}
