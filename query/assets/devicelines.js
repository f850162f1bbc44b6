// The lines of a region's devices, in the windows of its chart.

import { getAll, isAddressable, ofDevice, orProblem } from "./api.js";

/** How many devices are drawn at once, and asked about at once. */
export const LINES_MAX = 20;
const AT_ONCE = 4;

/** The values at the begins of `windows`, of a series that may have others. */
export function valuesAt(windows, series) {
  const known = new Map(series.map(({ from, average_c }) => [Date.parse(from), average_c]));
  return windows.map(({ from }) => known.get(Date.parse(from)) ?? null);
}

/** Does `work` for each of `items`, a few at a time, and keeps their order. */
export async function each(items, work) {
  const made = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next;
      next += 1;
      made[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return made;
}

/** The windows of each device. One that fails has a `problem` and none. */
export function seriesOf(names, time) {
  return each(names.filter(isAddressable).slice(0, LINES_MAX), async (name) => {
    const { windows = [], problem } = await orProblem(() => getAll(ofDevice(name, "/windows", time), "windows"));
    return { name, windows, problem };
  });
}
