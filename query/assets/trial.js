// A form that has a message read by a source's mapping, and keeps nothing of it.

import { ofSource, send } from "./api.js";
import { field, form, textOf } from "./forms.js";
import { celsius, count, counted, element, moment, setText } from "./format.js";
import { numbers, table } from "./tables.js";

/** The type of a message that comes with its query and a mapping. */
const ENVELOPE = "application/vnd.isotherm.try+json";
const COLUMNS = ["Where", "Id", "Device", "Region", numbers("Reads"), "Measured", "Outcome"];

/** A field of several lines. */
function area(label, hint, rows) {
  const { node, input } = field(label, {}, hint);
  const text = element("textarea", { id: input.id, rows, spellcheck: false, autocapitalize: "none" });
  if (hint) text.setAttribute("aria-describedby", `${input.id}-hint`);
  input.replaceWith(text);
  node.classList.add("area");
  return { node, input: text };
}

/** The mapping of a field: an object, or the name of a preset; undefined if it is empty. */
function mappingOf(given) {
  const text = textOf(given);
  if (text === null) return undefined;
  if (text.startsWith("preset:")) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    given.input.focus();
    throw new Error(`The mapping is no JSON: ${error.message}`);
  }
}

function row({ pointer, id, device_id: device, region, temperature_c: value, timestamp, time_assumed: isAssumed, reason, detail }) {
  const where = pointer || "the whole";
  const outcome = element("span", { className: "long failed", textContent: `refused, ${reason}: ${detail}` });
  if (reason) return [where, "–", "–", "–", "–", "–", outcome];
  return [where, id, device ?? "unknown", region ?? "unknown", celsius(value), moment(timestamp),
    isAssumed ? "read; it has no time of its own" : "read"];
}

/** What would be answered to the device. */
function replyOf({ readings, reply }) {
  const [status, type, text] = readings.some(({ reason }) => !reason) ? reply.kept : reply.ignored;
  return text ? `${status}, ${type}: ${text}` : `${status}`;
}

export class Trial {
  constructor(source) {
    this.source = source;
    this.body = area("Body", null, 4);
    this.query = field("Query", {}, "What follows the ? in the device's address.");
    this.mapping = area("Another mapping", "JSON, or a name like preset:shelly-gen1. Empty is the one in use.", 4);
    this.form = form([this.body, this.query, this.mapping], "Try", () => this.attempt());
    this.result = element("div");
    this.node = element("details", {}, element("summary", { textContent: "Try a message" }),
      element("p", { className: "quiet about", textContent: "It is read as if a device had sent it, and nothing is kept." }), this.form, this.result);
  }

  /** Takes a message that was refused, to be tried again. */
  take(query, body) {
    this.node.open = true;
    this.body.input.value = body;
    this.query.input.value = query;
    this.result.replaceChildren();
    this.body.input.focus();
  }

  async attempt() {
    this.result.replaceChildren();
    const mapping = mappingOf(this.mapping);
    // Blanks belong to the message.
    const sent = { body: this.body.input.value, query: this.query.input.value.replace(/^\?/, ""), ...(mapping !== undefined && { mapping }) };
    const answer = await send("POST", ofSource(this.source, "/try"), sent, ENVELOPE);
    const { readings, ignored, void: voids } = answer;
    const refused = readings.filter(({ reason }) => reason).length;
    const words = element("p", { className: "quiet" });
    const orElse = refused > 0 ? "; 422 if the mapping is strict" : "";
    setText(words, `${counted(ignored, "value", "values")} ignored, ${count(voids)} void. The device is answered ${replyOf(answer)}${orElse}.`);
    this.result.replaceChildren(...(readings.length ? [table("What is read", COLUMNS, readings.map(row))] : []), words);
    return `${counted(readings.length - refused, "reading is", "readings are")} read, ${count(refused)} refused. Nothing was kept.`;
  }
}
