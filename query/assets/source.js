// One source in a part that opens: its unknown devices, what it sent last that was refused,
// and its mappings.

import { mayAdminister } from "./access.js";
import { Unknown } from "./adoption.js";
import { get, ofSource, orProblem, send } from "./api.js";
import { count, counted, element, moment, sentence, setText } from "./format.js";
import { button } from "./rangebar.js";
import { has } from "./routes.js";
import { numbers, replaceWith, table, terms } from "./tables.js";
import { Trial } from "./trial.js";

const MAPPING_COLUMNS = ["Mapping", "State", numbers("Kept"), numbers("Without time"), "Oldest reading", "Newest reading"];
const KEPT_IN = { variable: "in the variable sources", stored: "at this node, by PUT" };
const LOCKED = "What a device sent is shown, and devices are adopted, with a token with the scope admin.";

/** How many readings were refused, for whatever reason. */
export const refusals = ({ refused }) => Object.values(refused).reduce((sum, some) => sum + some, 0);

const code = (textContent) => element("code", { textContent });

/** A message that was refused: why, where in it, its query and its body. */
function refusedBody({ at, reason, pointer, detail, query, body }, tryAgain) {
  const parts = [query && `?${query}`, body].filter(Boolean);
  const shown = element("pre", { textContent: parts.join("\n\n") || "(empty)", tabIndex: 0 });
  shown.setAttribute("role", "group");
  shown.setAttribute("aria-label", `The message of ${moment(at)}`);
  const where = pointer ? ["at ", code(pointer)] : ["of the whole"];
  return element("li", { className: "refused" },
    element("p", {}, `${moment(at)}: `, element("strong", { className: "failed", textContent: reason }), " ", ...where),
    element("p", { className: "quiet", textContent: sentence(detail) }), shown,
    ...(tryAgain ? [button("Try this message", () => tryAgain(query, body), { className: "small" })] : []));
}

/** Makes `made` the items of a list. Those that it has stay as they are: somebody may read
 * them. */
function arrange(list, made) {
  const before = [...list.children];
  const items = made.map((one) => {
    const index = before.findIndex((old) => old.isEqualNode(one));
    return index < 0 ? one : before.splice(index, 1)[0];
  });
  before.forEach((gone) => gone.remove());
  items.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
}

/** What was read by each mapping: the one in use, and those before it. */
function mappingRows({ digest, mappings }) {
  return mappings.map((one) => [code(one.digest), one.digest === digest ? "in use" : "before", count(one.kept), count(one.time_assumed),
    moment(one.oldest), moment(one.newest)]);
}

export class Source {
  /** `regions` is the list of names for the fields; `opened` is called when the part opens,
   * and `changed`, with the name of a region, when a device was adopted. */
  constructor(name, { regions, opened, changed }) {
    Object.assign(this, { name, opened, bodies: null });
    this.about = element("span", { className: "quiet" });
    this.mistake = element("p", { className: "failed" });
    this.facts = element("div", { className: "part" });
    this.locked = this.lock();
    this.unknown = new Unknown(name, regions, changed);
    this.problem = element("p", { className: "quiet" });
    this.list = element("ul", { className: "plain" });
    this.refused = element("section", {}, element("h3", { textContent: "Last refused messages" }), this.problem, this.list);
    this.trial = new Trial(name);
    this.mappings = element("section", {}, element("h3", { textContent: "Mappings" }), element("div"));
    this.summary = element("summary", {}, element("h2", { textContent: name }), " ", this.about);
    this.node = element("details", { className: "panel change source", ontoggle: () => this.node.open && opened() }, this.summary,
      this.mistake, this.locked, this.unknown.node, this.refused, this.trial.node, this.mappings, this.facts);
  }

  /** What is shown in the place of all that needs the scope admin. */
  lock() {
    this.why = element("span", { className: "failed" });
    this.why.setAttribute("role", "alert");
    return element("p", { className: "needed" }, element("span", { className: "quiet", textContent: LOCKED }), " ",
      button("Use such a token", () => this.unlock(), { className: "small" }), " ", this.why);
  }

  get isOpen() {
    return this.node.open;
  }

  open() {
    this.node.open = true;
    this.summary.focus();
  }

  /** Asks for its unknown devices; and, without a question for a token, for what it sent. */
  async load() {
    const [unknown] = await Promise.all([orProblem(() => get(ofSource(this.name, "/unknown"))), mayAdminister() ? this.loadBodies() : null]);
    return unknown;
  }

  /** What devices sent is not in the model of the view, which the browser keeps. */
  async loadBodies() {
    if (!has("/v1/sources/{source}/refused")) return;
    try {
      this.bodies = await send("GET", ofSource(this.name, "/refused"));
      setText(this.why, "");
    } catch (error) {
      if (error.status === undefined) throw error;
      this.bodies = { problem: error.message };
      // The token may be one that the node took back.
      setText(this.why, sentence(error.message));
    }
  }

  async unlock() {
    setText(this.why, "");
    try {
      this.bodies = await send("GET", ofSource(this.name, "/refused"));
      this.opened();
    } catch (error) {
      setText(this.why, sentence(error.message));
    }
  }

  /** Shows a record of the list, and what `load` gave if it was asked for. */
  show(record, unknown) {
    this.mistake.hidden = !record.error;
    setText(this.mistake, record.error ? `Its mapping can't be used: ${record.error}` : "");
    setText(this.about, [`${count(record.kept)} kept`, `${count(refusals(record))} refused`,
      counted(record.unknown_devices, "unknown device", "unknown devices")].join(" · "));
    this.showMappings(record);
    const isAllowed = mayAdminister();
    this.locked.hidden = isAllowed;
    if (unknown) this.unknown.show(unknown, isAllowed && has("/v1/sources/{source}/devices", "post"));
    this.trial.node.hidden = !isAllowed || !has("/v1/sources/{source}/try", "post");
    this.showBodies(isAllowed);
  }

  showBodies(isAllowed) {
    this.refused.hidden = !isAllowed || !has("/v1/sources/{source}/refused");
    const { problem, refused = [] } = (isAllowed && this.bodies) || {};
    setText(this.problem, this.bodyWords(problem, refused.length));
    const tryAgain = this.trial.node.hidden ? null : (query, body) => this.trial.take(query, body);
    arrange(this.list, refused.map((one) => refusedBody(one, tryAgain)));
  }

  bodyWords(problem, number) {
    if (problem) return `Not known: ${problem}`;
    if (!this.bodies) return "Loading";
    return number === 0 ? "None is kept." : "The newest first. Of each message the beginning of its query and of its body is kept, without what looks like a password or a token.";
  }

  showMappings(record) {
    const { mappings, kept_in: keptIn, digest, devices } = record;
    replaceWith(this.mappings.lastChild, mappings === null
      ? element("p", { className: "quiet", textContent: "What was read by which mapping is not known while the regions database is away." })
      : table(`Mappings of ${this.name}, with what was read by each`, MAPPING_COLUMNS, mappingRows(record)));
    this.mappings.hidden = mappings?.length === 0;
    replaceWith(this.facts, terms([["Mapping in use", digest ? code(digest) : "none"],
      ["It is kept", KEPT_IN[keptIn] ?? "nowhere"], ["Rows in its table of devices", count(devices)]], "figures wide"));
  }
}
