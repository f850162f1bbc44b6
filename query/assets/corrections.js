// Corrections: those that were made, and a form that takes a reading back or replaces
// it. The reading stays where it is; a correction is an entry of its own.

import { getPage, ofList, send } from "./api.js";
import { changePart, field, form, numberOf, textOf } from "./forms.js";
import { celsius, counted, element, moment, setText } from "./format.js";
import { button, option } from "./rangebar.js";
import { has } from "./routes.js";
import { deviceLink, numbers, regionLink, replaceWith, table } from "./tables.js";

const COLUMNS = ["Made", "Device", "Measured", numbers("Was"), numbers("Becomes"), "Region", "Why", "By", "State"];
const ABOUT = "A counted reading that is wrong can be taken back, replaced, or moved to another region. It is named by its device and instant, and what it is expected to be: a correction of something else does nothing.";

const NAME_COLUMNS = ["Made", "Name before", "Name now", "How", "Why", "By"];

/** The words for what became of a correction. */
function stateOf({ state, stands_region, stands_c }) {
  if (state !== "waiting") return { conflict: "another one was applied", superseded: "applied, and changed again", too_old: "too old to apply" }[state] ?? state;
  if (!stands_region) return "waiting: no such reading yet";
  return `not applied: ${stands_c == null ? "it is taken back" : `${celsius(stands_c)} stands`} in ${stands_region}`;
}

export class Corrections {
  constructor(main, _name, query, refresh) {
    this.title = "Corrections";
    this.refresh = refresh;
    this.build(query);
    this.buildNames();
    this.summary = element("p", { textContent: "Loading" });
    this.rows = element("div");
    this.renamed = element("div");
    this.more = button("More", () => this.takeMore(), { hidden: true });
    main.replaceChildren(element("h1", { textContent: "Corrections" }), element("p", { className: "quiet about", textContent: ABOUT }),
      this.change, this.changeNames, this.summary, this.rows, this.more, this.renamed);
  }

  build(query) {
    const given = (key) => query.get(key) ?? "";
    this.device = field("Device", { required: true, value: given("device_id") });
    this.at = field("Measured at", { required: true, value: given("timestamp") }, "RFC 3339, like 2026-11-25T14:05:00Z, or Unix milliseconds.");
    this.expected = field("It is now (°C)", { required: true, value: given("expect_c") }, "The correction is for this value alone.");
    const kind = element("select", { id: "correction-kind" }, option("withdraw", "Take it back"), option("replace", "Replace it by"));
    this.kind = { input: kind, node: element("div", { className: "field" }, element("label", { htmlFor: kind.id, textContent: "What to do" }), kind) };
    this.value = field("Right value (°C)", { disabled: true });
    kind.onchange = () => { this.value.input.disabled = kind.value !== "replace"; };
    this.region = field("Region", {}, "Only to move the reading to another region.");
    this.reason = field("Reason", { required: true, maxLength: 200 });
    const fields = [this.device, this.at, this.expected, this.kind, this.value, this.region, this.reason];
    this.form = form(fields, "Correct the reading", () => this.post());
    this.change = changePart("Correct a reading", this.form, { open: query.has("device_id"), hidden: !has("/v1/corrections", "post") });
  }

  buildNames() {
    const what = element("select", { id: "rename-what" }, option("region", "Region"), option("device_id", "Device"));
    this.what = { input: what, node: element("div", { className: "field" }, element("label", { htmlFor: what.id, textContent: "What" }), what) };
    this.old = field("Name now", { required: true });
    this.into = field("New name", { required: true }, "If something has this name, the two are merged: each reading is moved, with a correction of its own.");
    this.why = field("Reason", { required: true, maxLength: 200 });
    this.names = form([this.what, this.old, this.into, this.why], "Rename or merge", () => this.rename());
    this.changeNames = changePart("Rename or merge a region or a device", this.names, { hidden: !has("/v1/corrections", "post") });
  }

  close() {}

  async post() {
    const at = textOf(this.at);
    const isReplaced = this.kind.input.value === "replace";
    const temperature_c = isReplaced ? numberOf(this.value) : null;
    if (isReplaced && temperature_c === null) throw new Error("The right value is missing.");
    const region = textOf(this.region);
    const correction = {
      device_id: textOf(this.device), timestamp: /^\d+$/.test(at) ? Number(at) : at, expect_c: numberOf(this.expected),
      temperature_c, ...(region && { region }), reason: textOf(this.reason),
    };
    const answer = await send("POST", "v1/corrections", correction);
    this.refresh();
    if (!answer?.state) return "The correction is on disk. It is applied when the database is back.";
    return answer.state === "applied" ? "Done." : `Kept, and ${stateOf(answer)}.`;
  }

  /** Sends the request again until all readings are corrected. */
  async rename() {
    const [from, into, reason] = [this.old, this.into, this.why].map(textOf);
    const what = this.what.input.value;
    const body = { [what]: from, rename: into, reason };
    for (let corrected = 0; ;) {
      const answer = await send("POST", "v1/corrections", body);
      corrected += answer.corrected;
      if (answer.done) {
        this.refresh();
        return answer.renamed ? `${from} is ${into} now, and still answers to its old name.` : `${counted(corrected, "reading", "readings")} of ${from} moved to ${into}.`;
      }
      this.names.say(`${counted(corrected, "reading", "readings")} moved`);
      body.from = answer.from;
    }
  }

  async load() {
    const { body, next } = await getPage(ofList("corrections", { limit: 200 }));
    return { answer: body, next: next && String(next) };
  }

  show({ answer, next }) {
    this.older ??= [];
    this.next ??= next;
    this.newest = answer.corrections;
    this.renamings = answer.renamings ?? [];
    this.arrange();
  }

  arrange() {
    const all = [...this.newest, ...this.older];
    setText(this.summary, all.length === 0 ? "Nothing was corrected." : `${counted(all.length, "correction", "corrections")}`);
    const row = (c) => [moment(c.made ?? c.at), deviceLink(c.device_id), moment(c.timestamp), celsius(c.expect_c),
      c.temperature_c == null ? "taken back" : celsius(c.temperature_c), c.region ? regionLink(c.region) : "as it was",
      element("span", { className: "long", textContent: c.reason ?? "–" }), c.by ?? "–", stateOf(c)];
    if (all.length === 0) this.rows.replaceChildren();
    else replaceWith(this.rows, table("Corrections, by the time of the reading", COLUMNS, all.map(row)));
    const renaming = (r) => [moment(r.made), r.device_id ?? r.region, r.device_id ? deviceLink(r.into) : regionLink(r.into),
      r.merged ? "merged" : "renamed", element("span", { className: "long", textContent: r.reason }), r.by ?? "–"];
    if (this.renamings.length === 0) this.renamed.replaceChildren();
    else replaceWith(this.renamed, table("Renamed and merged, the newest first", NAME_COLUMNS, this.renamings.map(renaming)));
    this.more.hidden = !this.next;
  }

  async takeMore() {
    const { body, next } = await getPage(this.next);
    this.older.push(...body.corrections);
    this.next = next && String(next);
    this.arrange();
  }
}
