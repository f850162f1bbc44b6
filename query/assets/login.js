// The form that logs in, and the question for a token where a session is not enough.

import { access, isPlain, logIn, takeToken, tokenInMemory } from "./access.js";
import { setAuthority } from "./api.js";
import { field, form } from "./forms.js";
import { element, sentence, setText } from "./format.js";
import { button } from "./rangebar.js";

const PLAIN = "This page came over plain HTTP. A token that is sent from here can be read on its way, and the browser keeps no session. Open the page over HTTPS, or on the node itself at http://127.0.0.1.";
const WHY = {
  ended: "The session has ended. Log in again to go on where you were.",
  out: "You are logged out. The page keeps no figures here any more.",
  ending: "Nothing is shown or kept here any more, but the node does not answer, so the session may not have ended there. Trying again: leave this page open until it says that you are logged out.",
};
const HINT = "It begins with isotherm_, or it is a JWT for this node.";

/** The field for a token. No address, and nothing that the browser keeps, ever has it;
 * a password manager may. */
function tokenField(hint) {
  return field("Token", {
    type: "password", name: "token", autocomplete: "current-password", autocapitalize: "none", spellcheck: false, required: true,
  }, hint);
}

/** The token of a field, if it can be one. */
function tokenOf({ input }) {
  const text = input.value.trim();
  if (/^[\x21-\x2b\x2d-\x7e]+$/.test(text)) return text;
  throw new Error("This is no token: it has a space, a comma, or a character that no token has.");
}

/** Does `work` with the token of a field. What was refused is there to be typed over. */
async function withToken(given, work) {
  try {
    await work(tokenOf(given));
  } catch (error) {
    error.message = sentence(error.message);
    given.input.focus();
    given.input.select();
    throw error;
  }
}

/** What the node says to a log-in, and what the operator can do where it is not the token. */
async function begin(token) {
  try {
    await logIn(token);
  } catch (error) {
    if (error.code !== "misconfigured" || !error.message.includes("session_key")) throw error;
    throw new Error(`${sentence(error.message)} It is the key of this page's sessions: at least 32 random characters. Start the node again with it.`);
  }
}

/** The view of those who have to log in. The address stays as it is: it is where they go
 * on. */
export class Login {
  constructor(main) {
    const given = tokenField(HINT);
    this.why = element("p", { className: "notice" });
    this.why.setAttribute("role", "status");
    const logIn = form([given], "Log in", async () => {
      await withToken(given, begin);
      return "";
    });
    const code = (textContent) => element("code", { textContent });
    main.replaceChildren(element("section", { className: "login" },
      element("h1", { textContent: "Log in" }),
      element("p", { className: "quiet", textContent: "This node shows what it measures to those who have a token for it." }),
      this.why, ...(isPlain() ? [element("p", { className: "notice", textContent: PLAIN })] : []), logIn,
      element("h2", { textContent: "No token?" }),
      element("p", {}, "The operator of this node makes one, by ", code("POST /v1/tokens"), " or with ", code("cargo xtask token"),
        ". Ask for the scope ", code("read:*"), " to see all regions, or ", code("read:hall"), " for the region hall alone.")));
    this.explain();
    given.input.focus();
  }

  /** Says why one is here. */
  explain() {
    const words = WHY[access().why] ?? "";
    this.why.hidden = words === "";
    setText(this.why, words);
  }
}

/** Asks for a token with the scope admin. */
function ask() {
  return new Promise((resolve, reject) => {
    const given = tokenField("The page keeps it until it is reloaded or closed.");
    const dialog = element("dialog", { className: "panel ask" });
    const heading = element("h2", { id: "ask-heading", textContent: "Token with the scope admin" });
    const asked = form([given], "Send", async () => {
      await withToken(given, takeToken);
      resolve(tokenInMemory());
      dialog.close();
      return "";
    }, [button("Cancel", () => dialog.close())]);
    dialog.setAttribute("aria-labelledby", heading.id);
    dialog.onclose = () => {
      dialog.remove();
      reject(new Error("Nothing was sent: this needs a token with the scope admin."));
    };
    dialog.append(heading, element("p", { className: "quiet", textContent: "A session only reads figures. What changes something, and what devices sent, needs a token with this scope." }), asked);
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Closes the question, if it is open. */
export function closeQuestion() {
  document.querySelector("dialog.ask")?.close();
}

setAuthority({ token: async () => (access().auth === "on" ? tokenInMemory() ?? ask() : null) });
