// The records that the node keeps of what went wrong: contradicting readings, what
// is in quarantine, what was rejected.

import { get, getPage, ofList, orProblem, send } from "./api.js";
import { whatIsNeeded } from "./forms.js";
import { bytes, celsius, count, counted, element, instant, moment, setText } from "./format.js";
import { button } from "./rangebar.js";
import { has } from "./routes.js";
import { deviceLink, numbers, regionLink, replaceWith, table } from "./tables.js";

const A_PAGE = 200;

/** A view that lists records in pages. What it lists is said by those who inherit it. */
class Records {
  constructor(main, { title, path, list, about, columns }) {
    Object.assign(this, { title, path, list, columns });
    this.limit = A_PAGE;
    this.said = element("p", { className: "said" });
    this.said.setAttribute("role", "status");
    this.summary = element("p", { textContent: "Loading" });
    this.rows = element("div");
    this.more = button("More", () => this.takeMore(), { hidden: true });
    main.replaceChildren(element("h1", { textContent: title }), element("p", { className: "quiet about", textContent: about }),
      this.summary, ...this.controls(), this.said, this.rows, this.more);
  }

  controls() {
    return [];
  }

  close() {}

  async load() {
    const { body, next } = await getPage(this.path);
    return { answer: body, next: next && String(next) };
  }

  show({ answer, next }) {
    this.answer = answer;
    // Older pages stay until the view is opened again; the first one is kept up to date.
    this.older ??= [];
    this.next ??= next;
    this.arrange();
  }

  arrange() {
    const records = [...this.answer[this.list], ...this.older];
    setText(this.summary, this.words(records, this.answer));
    if (records.length === 0) this.rows.replaceChildren();
    else replaceWith(this.rows, table(this.title, this.columns, records.map((record) => this.row(record))));
    this.more.hidden = !this.next;
  }

  async takeMore() {
    const { body, next } = await getPage(this.next);
    this.older.push(...body[this.list]);
    this.next = next && String(next);
    this.arrange();
  }
}

export class Conflicts extends Records {
  constructor(main) {
    super(main, {
      title: "Conflicts", path: ofList("conflicts", { limit: A_PAGE }), list: "conflicts",
      about: "Two readings of one device at the same instant that differ. The one that was counted first stands; the other one is listed here and not counted.",
      columns: ["Device", "Measured", numbers("Sent"), "Sent for", numbers("Counted"), "Counted for"],
    });
  }

  words(records, { seen }) {
    if (records.length === 0) return "No reading contradicts a counted one.";
    return `${counted(records.length, "conflict is", "conflicts are")} listed · ${counted(seen, "was", "were")} seen, with those that were sent again`;
  }

  row(c) {
    return [deviceLink(c.device_id), moment(c.timestamp), celsius(c.temperature_c), regionLink(c.region),
      celsius(c.standing_temperature_c), c.standing_region ? regionLink(c.standing_region) : "deleted since (retention)"];
  }
}

/** Why an entry is in quarantine, in words. */
const REASONS = {
  unreadable: "damaged in storage, or no known release wrote it",
  too_old: "older than the readings that the database still had: a duplicate could not be detected",
  damaged_row: "belongs to a row of the database that can't be read",
  ahead_of_clock: "waits until the node's clock is set",
};

export class Quarantine extends Records {
  constructor(main, _name, _query, refresh) {
    super(main, {
      title: "Quarantine", path: "v1/quarantine", list: "entries",
      about: "Acknowledged requests that could not be counted. Nothing of them is lost; they can be tried again.",
      columns: ["Entry", "Reason", numbers("Readings"), numbers("Size"), "Try again"],
    });
    this.refresh = refresh;
  }

  controls() {
    this.all = button("Try all again", () => this.retry("v1/quarantine/retry"), { hidden: true });
    return [...(has("/v1/quarantine/retry", "post") ? whatIsNeeded() : []), element("p", {}, this.all)];
  }

  words(entries, { entries_omitted: omitted = 0 }) {
    this.all.hidden = entries.length === 0 || !has("/v1/quarantine/retry", "post");
    if (entries.length === 0) return "Nothing is in quarantine.";
    const readings = entries.reduce((sum, entry) => sum + (entry.readings ?? 0), 0);
    return `${counted(entries.length, "entry", "entries")} with ${counted(readings, "reading", "readings")}${omitted ? ` · ${count(omitted)} more` : ""}`;
  }

  row({ name, reason, readings, bytes: size }) {
    const again = button("Try again", () => this.retry(`v1/quarantine/${encodeURIComponent(name)}/retry`));
    again.setAttribute("aria-label", `Try again: ${name}`);
    const words = REASONS[reason] ? `${reason}: ${REASONS[reason]}` : reason;
    return [name, element("span", { className: "long", textContent: words }), count(readings), bytes(size),
      has("/v1/quarantine/{name}/retry", "post") ? again : "–"];
  }

  async retry(path) {
    try {
      const { retried } = await send("POST", path);
      setText(this.said, `${counted(retried, "entry was", "entries were")} tried again. What still can't be counted stays here.`);
      this.said.classList.remove("failed");
    } catch (error) {
      setText(this.said, error.message);
      this.said.classList.add("failed");
    }
    this.next = this.older = undefined;
    this.refresh();
  }
}

export class Rejections extends Records {
  constructor(main) {
    super(main, {
      title: "Rejections", path: ofList("rejections", { limit: A_PAGE }), list: "rejections",
      about: "The last items and bodies that were refused, with what their senders were told. They were not counted.",
      columns: ["Rejected", "Device", "Region", "Reason", "What to do", "Sender", "Stands for"],
    });
    this.devices = element("div");
    this.rows.before(this.devices);
  }

  async load() {
    const path = "/v1/rejections/devices";
    const [page, by] = await Promise.all([super.load(), has(path) ? orProblem(() => get(path.slice(1))) : null]);
    return { ...page, by };
  }

  show(model) {
    super.show(model);
    const rows = (model.by?.devices ?? []).map((d) => [d.device_id ?? "not known", d.region ?? "not known", count(d.rejected),
      moment(d.last_at), d.last_reason, d.last_address]);
    const problem = model.by?.problem;
    const words = problem ? [element("p", { className: "quiet", textContent: `Not known by device: ${problem}` })] : [];
    replaceWith(this.devices, ...(rows.length === 0 ? words
      : [table("By device, the most first", ["Device", "Region", numbers("Rejected"), "Last", "Last reason", "Last sender"], rows)]));
  }

  words(records, { kept, kept_from: from }) {
    if (records.length === 0) return "Nothing was rejected.";
    return [counted(kept ?? records.length, "rejection is kept", "rejections are kept"),
      ...(from ? [`since ${instant(from)}`] : [])].join(" ");
  }

  /** Names as they were sent: they may be no names at all, and are no links. */
  row(r) {
    return [moment(r.at), r.device_id, r.region, r.reason, element("span", { className: "long", textContent: r.detail }),
      r.address, r.stands_for > 1 ? `${count(r.stands_for)} like it` : "itself"];
  }
}
