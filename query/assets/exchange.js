// The exchange with other nodes: those that send to this one, and its peers, which this one
// sends to. A part of the status.

import { get, now, orProblem } from "./api.js";
import { age, bytes, count, counted, element, instant, moment, setText } from "./format.js";
import { may } from "./routes.js";
import { calledOf, ordered, sendersOf, stateText } from "./senders.js";
import { numbers, replaceWith, table, terms } from "./tables.js";

const ABOUT = "What one node has counted is sent to its peers, and counted once at each. Behind are readings that are not known to have arrived.";
const COLUMNS = ["Node", "State", "Last contact", "Its clock then", ...["Minutes behind", "Readings behind", "Missing"].map(numbers),
  "First contact", ...["Readings sent", "In an hour"].map(numbers), "Went on from an earlier state", "Id"];

/** Why a peer did not take readings, in words. */
const REASONS = {
  in_future: "they are ahead of the peer's clock; sent again every minute",
  too_old: "they are older than what the peer takes; its operator can raise its variable retention",
  too_many_names: "the peer has as many regions or devices as it may; sent again once a day",
  forbidden: "the token for the peer does not allow them; sent again once a day",
  other: "the peer says why in its rejections; sent again once a day",
};

/** Whether a peer takes what is sent. */
function reachText({ reachable, tried, error, failures }) {
  if (reachable) return "yes";
  if (tried === null) return "not known: nothing was sent yet";
  const why = error ? `: ${error}` : "";
  return element("span", { className: "trouble", textContent: failures > 0 ? `no, ${counted(failures, "failure", "failures")} in a row${why}` : `no answer yet${why}` });
}

function behindText({ behind_minutes: minutes, behind_readings: readings }) {
  return readings + minutes === 0 ? "nothing" : `${counted(readings, "reading", "readings")} of ${counted(minutes, "minute", "minutes")}`;
}

function asideText({ aside }) {
  if (aside.length === 0) return "none";
  return element("ul", { className: "plain" }, ...aside.map(({ reason, minutes, readings, oldest }) => element("li", {},
    `${counted(readings, "reading", "readings")} of ${counted(minutes, "minute", "minutes")} since ${moment(oldest)}: ${REASONS[reason] ?? reason}`)));
}

const ago = (time, none) => (time === null ? none : `${instant(time)}, ${age(now() - Date.parse(time))}`);

/** A peer with all that is known of it. */
function peer(one) {
  const facts = [
    ["Takes what is sent", reachText(one)], ["Behind", behindText(one)],
    ["Oldest that it may not have", one.oldest_unsent === null ? "none" : instant(one.oldest_unsent)],
    ["Last answer", ago(one.answered, "none yet")], ["Last try", ago(one.tried, "none yet")],
    ["Next try", one.next_try === null ? "with the next beat" : `not before ${instant(one.next_try)}`],
    ["Batches under way", count(one.batches_under_way)], ["Readings sent", count(one.sent_readings)], ["Bytes sent", bytes(one.sent_bytes)],
    ["Requests sent", count(one.sends)], ["Everything was sent again", counted(one.sent_again, "time", "times")],
    ["Takes readings from", Date.parse(one.takes_from) === 0 ? "the beginning" : instant(one.takes_from)], ["Rejected, kept aside", asideText(one)], ["Its id", one.node ?? "not known yet"],
  ];
  return element("section", {}, element("h3", { textContent: one.origin }), terms(facts, "figures panel wide"));
}

function forksText({ forks, forked }) {
  if (forks === 0) return "never";
  return forks === 1 ? `once, at ${moment(forked)}: restored from a backup?`
    : `${counted(forks, "time", "times")}, last at ${moment(forked)}: two nodes with the same database?`;
}

function row(node, list) {
  const { silent, contact, missing_readings: lacking } = node;
  const cells = [calledOf(node), stateText(node, list), `${moment(contact)}, ${age(Date.parse(list.as_of) - Date.parse(contact))}`,
    moment(node.as_of), count(node.behind_minutes), count(node.behind_readings), silent ? `about ${count(lacking)}` : count(lacking),
    moment(node.first_contact), count(node.readings), count(node.readings_per_hour), forksText(node), node.node];
  cells.className = silent ? "silent" : "";
  return cells;
}

export class Exchange {
  constructor() {
    this.isAlone = false;
    /** The request that is under way. */
    this.asked = null;
    this.words = element("p", { className: "about" });
    this.dropped = element("p", { className: "alarm", hidden: true });
    this.senders = element("div");
    this.peers = element("div");
    this.node = element("section", { hidden: true }, element("h2", { textContent: "Exchange with other nodes" }),
      this.words, this.dropped, this.peers, this.senders);
  }

  /** Asks for what is shown, given an answer that says what it covers. */
  async load(answer) {
    const [senders, peers] = await Promise.all([sendersOf(answer), this.peersHere()]);
    return { senders, peers };
  }

  /** Null where the part of the node that sends is not deployed: that is asked once, also if two loads meet. */
  async peersHere() {
    if (this.isAlone || !may("/v1/sync")) return null;
    this.asked ??= this.askForPeers().finally(() => { this.asked = null; });
    return this.asked;
  }

  askForPeers() {
    return orProblem(async () => {
      try {
        return await get("v1/sync");
      } catch (error) {
        if (error.status !== 404) throw error;
        this.isAlone = true;
        return null;
      }
    });
  }

  show({ senders, peers }) {
    this.node.hidden = !senders && !peers;
    if (this.node.hidden) return;
    setText(this.words, this.text(senders, peers));
    this.showDropped(peers);
    replaceWith(this.peers, ...(peers?.peers ?? []).map(peer));
    replaceWith(this.senders, ...(senders ? [element("h3", { textContent: "Nodes that send here" }),
      table("Nodes that send here", COLUMNS, ordered(senders).map((node) => row(node, senders)))] : []));
  }

  text(senders, peers) {
    if (peers?.problem) return `Not known, to which nodes this one sends: ${peers.problem}`;
    const own = peers ? `This node is ${peers.name ? `${peers.name}, ` : ""}${peers.node}. ` : "";
    if (!senders && peers?.peers.length === 0) return `${own}It sends to no other node, and none sends to it.`;
    return `${own}${ABOUT}`;
  }

  /** What no peer will have any more. */
  showDropped(peers) {
    const { dropped_readings: readings = 0, dropped_from: from, dropped_to: to } = peers ?? {};
    this.dropped.hidden = readings === 0;
    setText(this.dropped, readings === 0 ? "" : `${counted(readings, "reading", "readings")} between ${instant(from)} and ${instant(to)} `
      + "can't be sent any more: there was no room to keep them until each peer had them (variable outbox_max_bytes).");
  }
}
