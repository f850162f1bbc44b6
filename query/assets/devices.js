// All devices, the silent ones first.

import { getAll, ofList } from "./api.js";
import { deviceRows, DEVICE_COLUMNS } from "./devicerows.js";
import { count, counted, element, setText } from "./format.js";
import { button } from "./rangebar.js";
import { regionLink, replaceWith, table } from "./tables.js";

const ROWS_A_PAGE = 200;

export class Devices {
  constructor(main, _name, query) {
    this.title = "Devices";
    this.shown = ROWS_A_PAGE;
    this.region = query.get("region");
    this.summary = element("p", { className: "quiet", textContent: "Loading" });
    this.filter = element("input", { type: "search", autocomplete: "off", oninput: () => this.arrange() });
    this.silent = element("input", { type: "checkbox", oninput: () => this.arrange() });
    this.list = element("div");
    this.more = button("More devices", () => { this.shown += ROWS_A_PAGE; this.arrange(); }, { hidden: true });
    main.replaceChildren(element("h1", { textContent: "Devices" }),
      element("div", { className: "tools" }, element("label", {}, "Search device or region", this.filter),
        element("label", { className: "check" }, this.silent, "Silent ones only")),
      this.summary, this.list, this.more);
  }

  close() {}

  async load() {
    return { answer: await getAll(ofList("devices", { region: this.region, limit: 1000 }), "devices") };
  }

  show({ answer }) {
    this.devices = answer.devices;
    this.arrange();
  }

  arrange() {
    if (!this.devices) return;
    const words = this.filter.value.trim().toLowerCase();
    const isWanted = ({ device_id, region, silent }) => (silent || !this.silent.checked)
      && `${device_id} ${region}`.toLowerCase().includes(words);
    const order = (a, b) => Number(b.silent) - Number(a.silent)
      || (a.silent ? b.newest_age_ms - a.newest_age_ms : 0) || (a.device_id < b.device_id ? -1 : 1);
    const found = this.devices.filter(isWanted).sort(order);
    const silent = this.devices.filter((device) => device.silent).length;
    setText(this.summary, this.devices.length === 0 ? "No device has sent a reading yet."
      : `${count(found.length)} of ${counted(this.devices.length, "device", "devices")} · ${count(silent)} silent`);
    const listed = found.slice(0, this.shown);
    const rows = deviceRows(listed);
    const [first, state, ...others] = DEVICE_COLUMNS;
    // When it was first seen is on its own page.
    listed.forEach((device, index) => {
      rows[index].splice(2, 0, regionLink(device.region));
      rows[index].pop();
    });
    if (rows.length > 0) replaceWith(this.list, table("Devices, the silent ones first", [first, state, "Region", ...others.slice(0, -1)], rows));
    else this.list.replaceChildren(element("p", { className: "quiet", textContent: this.devices.length ? "None of this name." : "" }));
    this.more.hidden = found.length <= this.shown;
  }
}
