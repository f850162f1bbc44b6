// What axe says of a page, and whether it is wider than its window.

import assert from "node:assert/strict";
import axe from "axe-core";

/** Nothing serious or critical, and no scrolling sideways. */
export async function checkAccessible(page, what) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate("axe.run()");
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(grave.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], what);
  const [wide, visible] = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]");
  assert.ok(wide <= visible, `${what} is wider than the window: ${wide} of ${visible}`);
}
