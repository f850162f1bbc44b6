// Forms that change something at the node. What it answers is said beside the button,
// in its own words where it refuses.

import { access } from "./access.js";
import { element, setText } from "./format.js";

let made = 0;

/** A field with its label and, if there is one, a hint. */
export function field(label, properties = {}, hint = null) {
  const id = `field-${made += 1}`;
  const input = element("input", { id, autocomplete: "off", ...properties });
  const node = element("div", { className: "field" }, element("label", { htmlFor: id, textContent: label }), input);
  if (hint) {
    node.append(element("p", { className: "quiet", id: `${id}-hint`, textContent: hint }));
    input.setAttribute("aria-describedby", `${id}-hint`);
  }
  return { node, input };
}

/** What a change needs, where the node asks for it; or nothing. */
export function whatIsNeeded() {
  const words = "A session only reads: what is sent here needs a token with the scope admin, which is asked for then.";
  return access().auth === "on" ? [element("p", { className: "quiet needed", textContent: words })] : [];
}

/** A part that opens to what changes something. */
export function changePart(title, content, properties) {
  return element("details", { className: "panel change", ...properties }, element("summary", { textContent: title }), ...whatIsNeeded(), content);
}

/** The number of a field; null if it is empty. */
export function numberOf({ input }) {
  const text = input.value.trim().replace(",", ".").replace("−", "-");
  if (text === "") return null;
  const number = Number(text);
  if (Number.isFinite(number)) return number;
  input.focus();
  throw new Error(`"${input.value}" is no number`);
}

/** The text of a field; null if it is empty. */
export function textOf({ input }) {
  return input.value.trim() || null;
}

/** A form of `fields` and of `others` that does `work`, which gives the words that are
 * said when it is done. */
export function form(fields, action, work, others = []) {
  const said = element("p", { className: "said" });
  said.setAttribute("role", "status");
  const submit = element("button", { textContent: action });
  const node = element("form", { className: "form" }, ...fields.map((each) => each.node),
    element("div", { className: "row" }, submit, ...others), said);
  node.say = (words, isFailure = false) => {
    said.setAttribute("role", isFailure ? "alert" : "status");
    setText(said, words);
    said.classList.toggle("failed", isFailure);
  };
  node.run = async (work) => {
    submit.disabled = true;
    try {
      node.say(await work());
    } catch (error) {
      if (error.status === undefined && !(error.constructor === Error)) console.error(error);
      node.say(error.message, true);
    }
    submit.disabled = false;
  };
  node.onsubmit = (event) => {
    event.preventDefault();
    node.run(work);
  };
  return node;
}
