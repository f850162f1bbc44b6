// The form of how often a device is expected to report.

import { ofDevice, send } from "./api.js";
import { changePart, field, form, textOf } from "./forms.js";
import { button } from "./rangebar.js";
import { has } from "./routes.js";

const HINT = "Like 60s, 15m or 1h. After three times that without a reading the device is silent. 0 is never.";

export class IntervalForm {
  constructor(name, changed) {
    this.name = name;
    this.changed = changed;
    this.field = field("Expected interval", { placeholder: "15m" }, HINT);
    this.form = form([this.field], "Set the interval", () => this.put(textOf(this.field)),
      [button("Learn it from the readings", () => this.form.run(() => this.put(null)))]);
    this.node = changePart("Change how often it is expected", this.form, { hidden: !has("/v1/devices/{device_id}", "put") });
  }

  async put(expected_interval) {
    await send("PUT", ofDevice(this.name), { expected_interval });
    if (expected_interval === null) this.field.input.value = "";
    this.changed();
    return expected_interval === null ? "It is learned from the readings." : "The interval is set.";
  }
}
