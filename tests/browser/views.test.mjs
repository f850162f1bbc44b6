// The page's views over made-up answers (mock.mjs): routes, figures and troubles that
// are hard to bring about at a service. Screenshots go to ISOTHERM_SCREENSHOTS.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { checkAccessible } from "./accessible.mjs";
import { serve } from "./mock.mjs";

const { ISOTHERM_SCREENSHOTS: shots } = process.env;
const DESKTOP = { width: 1200, height: 900 };
const PHONE = { width: 390, height: 800 };
const WALL = { width: 1920, height: 1080 };
const HOUR = 3_600_000;
/** How many pixels a line of a chart's grid is wide at most. */
const GRID_WIDTH = 2;
const DAY = 24 * HOUR;
const ASSETS = new URL("../../query/assets/", import.meta.url).pathname;
/** The routes that this release is the first to have. */
const NEW = [
  "/v1/regions/{region}/limits", "/v1/regions/{region}/excursions", "/v1/devices", "/v1/devices/{device_id}/windows",
  "/v1/devices/{device_id}/gaps", "/v1/devices/{device_id}/excursions", "/v1/readings", "/v1/rejections",
  "/v1/rejections/devices", "/v1/corrections", "/v1/sources", "/v1/status",
];

let browser;
let mock;
let page;
let errors;
let elsewhere;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.ISOTHERM_CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser.close());

beforeEach(async () => {
  [errors, elsewhere] = [[], []];
  mock = await serve();
  page = await opened({});
});
afterEach(async () => {
  // A request that a test answers itself may be on its way.
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.context().close();
  await mock.close();
  assert.deepEqual(elsewhere, [], "requests to other hosts");
});

async function opened(options) {
  const context = await browser.newContext({
    viewport: DESKTOP, colorScheme: "light", timezoneId: "America/New_York", serviceWorkers: "block", ...options,
  });
  const made = await context.newPage();
  made.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.origin !== mock.url && asked.protocol !== "blob:") elsewhere.push(asked.href);
  });
  made.on("pageerror", (error) => errors.push(error.message));
  made.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  return made;
}

const state = (name) => page.waitForSelector(`#state[data-state="${name}"]`, { state: "attached", timeout: 40_000 });
const shot = (name) => page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
const card = (name) => page.locator(`[data-region="${name}"]`);
const get = async (path) => (await fetch(`${mock.url}/${path}`)).json();
/** The query of the address. */
const address = () => new URLSearchParams(new URL(page.url()).hash.split("?")[1] ?? "");
const celsius = (value) => `${value.toFixed(2)} °C`;

async function open(hash) {
  await page.goto("about:blank");
  await page.goto(`${mock.url}/${hash}`);
  await state("live");
}

/** How many pixels of the chart have a colour, how many columns and rows they are in, and
 * how long the longest line of them is from left to right. A line of the grid crosses
 * some, where the time of day has it: it does not end them. */
function inked(name) {
  return page.locator("canvas").evaluate((canvas, { name: variable, GRID_WIDTH }) => {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
    probe.fillRect(0, 0, 1, 1);
    const wanted = probe.getImageData(0, 0, 1, 1).data;
    const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const [columns, rows] = [new Set(), new Set()];
    let [pixels, run, longest, last] = [0, 0, 0, -1];
    for (let at = 0; at < data.length; at += 4) {
      if ([0, 1, 2].some((channel) => Math.abs(data[at + channel] - wanted[channel]) > 3) || data[at + 3] < 250) continue;
      pixels += 1;
      const onward = (at - last) / 4;
      run = last >= 0 && onward <= 1 + GRID_WIDTH ? run + onward : 1;
      [longest, last] = [Math.max(longest, run), at];
      columns.add((at / 4) % width);
      rows.add(Math.floor(at / 4 / width));
    }
    return { pixels, columns: columns.size, rows: rows.size, longest };
  }, { name, GRID_WIDTH });
}

const VIEWS = {
  overview: "#/", compare: "#/compare", "compare-yesterday": "#/compare?range=yesterday", region: "#/region/freezer-1?range=24h&step=1h",
  lines: "#/region/freezer-3?step=1h&lines=devices", single: "#/region/frezer-1", devices: "#/devices", device: "#/device/freezer-2-s3?range=6h&step=15m",
  conflicts: "#/conflicts", quarantine: "#/quarantine", rejections: "#/rejections",
  corrections: "#/corrections?device_id=freezer-3-s2&timestamp=2026-11-26T00:10:00Z&expect_c=85", status: "#/status", kiosk: "#/kiosk",
};

for (const [viewport, size] of [[DESKTOP, "desk"], [PHONE, "phone"], [WALL, "wall"]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`everybody can read every view: ${size}, ${colorScheme}`, async () => {
      await page.context().close();
      page = await opened({ viewport, colorScheme });
      for (const [name, hash] of Object.entries(size === "wall" ? { kiosk: VIEWS.kiosk } : VIEWS)) {
        await open(hash);
        await page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
        await checkAccessible(page, `${name} ${size} ${colorScheme}`);
        await shot(`view-${name}-${size}-${colorScheme}`);
      }
      assert.deepEqual(errors, []);
    });
  }
}

test("a card has what is now: the average of the newest readings, the warmest, who is silent", async () => {
  mock.isFrozen = true;
  await open("#/");
  const { regions } = await get("v1/regions");
  const of = (name) => regions.find(({ region }) => region === name);
  const warm = of("freezer-1");
  assert.equal(await card("freezer-1").locator(".average").textContent(), celsius(warm.latest_average_c));
  await card("freezer-1").getByText(`${celsius(warm.warmest_c)} ${warm.warmest_device}`).waitFor();
  await card("freezer-1").getByText("above the limit of -18 °C").waitFor();
  const silent = card("freezer-2").getByText("1 device silent: freezer-2-s3");
  assert.equal(await silent.evaluate((node) => getComputedStyle(node).color), "rgb(166, 27, 27)");
  const order = await page.locator("[data-region]").evaluateAll((nodes) => nodes.map((node) => node.dataset.region));
  assert.deepEqual(order.slice(0, 4), ["freezer-1", "frezer-1", "freezer-2", "cold-room-1"]);
  await page.locator(".alarm").getByText("Outside limits: freezer-1.").waitFor();
  assert.deepEqual(errors, []);
});

test("a region whose devices are all silent has no temperature, but when the last reading was", async () => {
  mock.isFrozen = true;
  const silent = "cold-room-3";
  for (const device of mock.house.devices.filter(({ region }) => region === silent)) device.newest = mock.house.silentSince;
  await open("#/");
  for (const name of [silent, "frezer-1"]) {
    // Also once its hours are there.
    await page.waitForFunction((region) => document.querySelector(`[data-region="${region}"] .spark path.alone`)?.getAttribute("d") !== null
      && document.querySelector(`[data-region="${region}"] .spark path`).hasAttribute("d"), name);
    const face = await card(name).locator("a.face").innerText();
    assert.match(face, /silent/);
    assert.match(face, /last reading 2\d{3}-\d\d-\d\d \d\d:\d\d/);
    assert.doesNotMatch(face, /°C|now|hour of/);
    assert.equal(await card(name).locator(".what").evaluate((node) => getComputedStyle(node, "::before").content), "none");
  }
  const of = (order) => page.locator("[data-region]").evaluateAll((nodes) => nodes.map((node) => node.dataset.region))
    .then((names) => names.slice(order));
  // They are neither warm nor cold, so they come last.
  for (const order of ["warmest", "coldest"]) {
    await page.getByLabel("Order").selectOption(order);
    assert.deepEqual((await of(-2)).sort(), [silent, "frezer-1"], order);
  }
  assert.deepEqual(errors, []);
});

test("on a phone, whether a device is silent is in sight, and tables scroll in their own box", async () => {
  await page.setViewportSize(PHONE);
  for (const hash of ["#/devices", "#/region/freezer-2"]) {
    await open(hash);
    const state = page.getByRole("cell", { name: /^silent for 5 h/ });
    const { x, width } = await state.boundingBox();
    assert.ok(x >= 0 && x + width <= PHONE.width, `${hash}: ${x} to ${x + width}`);
  }
  for (const hash of ["#/devices", "#/region/freezer-2", "#/device/freezer-3-s2", "#/rejections", "#/conflicts", "#/quarantine", "#/corrections"]) {
    await open(hash);
    await page.locator("table.rows").first().waitFor();
    const boxes = await page.locator("table.rows").evaluateAll((tables) => tables.map((table) => {
      const box = table.closest(".scroll");
      return { right: box?.getBoundingClientRect().right, overflow: box && getComputedStyle(box).overflowX };
    }));
    for (const { right, overflow } of boxes.filter(({ right }) => right !== 0)) {
      assert.ok(right <= PHONE.width && overflow === "auto", `${hash}: ${right} ${overflow}`);
    }
    const wide = await page.evaluate("document.documentElement.scrollWidth");
    assert.equal(wide, PHONE.width, hash);
  }
  assert.deepEqual(errors, []);
});

test("who is silent, and since when, is one click away", async () => {
  await open("#/");
  await page.locator(".alarm").getByRole("link", { name: "freezer-2-s3" }).click();
  await page.getByText(/silent for 5 h/).waitFor();
  await page.getByRole("cell", { name: "goes on" }).waitFor();
  assert.ok((await inked("--gap-edge")).longest > 60, "the gap is in the chart");
});

test("how long it was outside is in the region's view, and drawn", async () => {
  mock.isFrozen = true;
  await open("#/");
  await card("freezer-1").locator("a.face").click();
  await page.getByText(/1 excursion · outside for 3\d min.* in all · one goes on/).waitFor();
  await page.getByRole("cell", { name: /^above -\d+\.\d\d °C at/ }).waitFor();
  const { columns, longest } = await inked("--outside-edge");
  assert.ok(longest > 15 && longest < 60, `the excursion is ${longest} pixels wide`);
  assert.ok(columns > 500, `the limits are ${columns} pixels wide`);
  const report = new URL(await page.getByRole("link", { name: "Print view" }).getAttribute("href"), mock.url);
  const shown = new URLSearchParams(report.hash.slice(1));
  assert.deepEqual([shown.get("region"), shown.get("zone")], ["freezer-1", "Europe/Berlin"]);
  await open("#/region/dock");
  await page.getByText("No limits are set.").waitFor();
  assert.equal((await inked("--outside-edge")).pixels, 0);
  assert.equal(await page.getByRole("link", { name: "Print view" }).count(), 0);
  assert.deepEqual(errors, []);
});

test("the warmest of yesterday, of every region and of one, is two clicks away", async () => {
  await open("#/");
  await page.getByRole("link", { name: "Compare" }).click();
  await page.getByRole("button", { name: "Yesterday" }).click();
  await page.waitForURL(/range=yesterday/);
  const row = page.getByRole("row", { name: /^freezer-1 / });
  await page.getByText(/Figures of whole hours/).waitFor();
  const asked = mock.asked.findLast((path) => path.startsWith("GET /v1/regions?from="));
  const { regions } = await get(asked.slice("GET /".length));
  const { max_c } = regions.find(({ region }) => region === "freezer-1");
  await row.getByRole("cell", { name: celsius(max_c) }).first().waitFor();
});

test("who drags over the chart zooms in, the address follows, and back is back", async () => {
  await open("#/region/freezer-3?range=7d");
  await page.getByText("windows of 1h").waitFor();
  const box = await page.locator(".u-over").boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 120, { steps: 5 });
  await page.mouse.up();
  await page.getByText("windows of 15m").waitFor();
  const [from, to] = ["from", "to"].map((key) => Date.parse(address().get(key)));
  assert.ok(Math.abs(to - from - 1.75 * DAY) < 2 * HOUR, `${(to - from) / HOUR} hours`);
  await page.reload();
  await page.getByText("windows of 15m").waitFor();
  await page.goBack();
  await page.getByText("windows of 1h").waitFor();
  assert.equal(address().get("range"), "7d");
  await page.goForward();
  await page.getByText("windows of 15m").waitFor();
  // By keyboard: the same middle, twice as wide.
  await page.getByRole("button", { name: "Wider" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction((old) => !location.hash.includes(old), address().get("from"));
  const wider = Date.parse(address().get("to")) - Date.parse(address().get("from"));
  assert.ok(Math.abs(wider - 2 * (to - from)) <= 2 * 60_000, `${wider / HOUR} hours`);
  assert.equal(await page.evaluate("document.activeElement.textContent"), "Wider", "the focus stays");
  assert.deepEqual(errors, []);
});

test("late, contradicting and corrected readings are shown where they are", async () => {
  await open("#/region/freezer-3");
  await page.getByText("✖ 2 contradicting · ◆ 1 corrected").waitFor();
  const { columns, rows } = await inked("--c3");
  assert.ok(columns > 3 && columns < 12 && rows < 12, `${columns} by ${rows}`);
  await open("#/region/freezer-1");
  await page.getByText("▲ 12 late").waitFor();
  await open("#/region/office");
  assert.equal((await inked("--c3")).pixels, 0);
});

test("devices are lines of their own", async () => {
  await open("#/region/freezer-3");
  assert.equal((await inked("--c1")).pixels, 0);
  await page.getByRole("button", { name: "Devices as lines" }).click();
  await page.locator(".u-legend").getByText("freezer-3-s5").waitFor();
  assert.equal(address().get("lines"), "devices");
  for (const colour of ["--c1", "--c2", "--c4"]) assert.ok((await inked(colour)).columns > 300, colour);
  await page.getByRole("button", { name: "Yesterday" }).click();
  await page.waitForURL(/range=yesterday.*lines=devices/);
  await page.getByRole("button", { name: "Devices as lines" }).click();
  await page.locator(".u-legend").getByText("freezer-3-s5").waitFor({ state: "detached" });
});

test("regions are compared in one chart, those that are ticked", async () => {
  await open("#/compare?range=6h");
  const legend = page.locator(".u-legend");
  await legend.getByText("office").waitFor();
  await page.getByRole("checkbox", { name: "office" }).uncheck();
  await legend.getByText("office").waitFor({ state: "detached" });
  const names = address().get("regions").split(",");
  assert.ok(names.includes("dock") && !names.includes("office"), `${names}`);
  assert.equal(address().get("range"), "6h");
  for (const colour of ["--c1", "--c3", "--c5"]) assert.ok((await inked(colour)).columns > 300, colour);
  await page.goBack();
  await legend.getByText("office").waitFor();
  assert.ok(await page.getByRole("checkbox", { name: "office" }).isChecked());
});

test("one reading is a point in a chart with an axis", async () => {
  for (const range of ["24h", "all"]) {
    await open(`#/region/frezer-1?range=${range}`);
    await page.getByText("on average of 1 reading").waitFor();
    const { columns, rows } = await inked("--accent");
    assert.ok(columns >= 5 && columns < 20 && rows >= 5 && rows < 20, `${range}: ${columns} by ${rows}`);
  }
  assert.deepEqual(errors, []);
});

test("limits are set, refused in the node's words, and removed", async () => {
  await open("#/region/dock");
  await page.getByText("Change the limits").click();
  await page.getByLabel("Lowest (°C)").fill("2");
  await page.getByLabel("Highest (°C)").fill("abc");
  await page.getByRole("button", { name: "Set the limits" }).click();
  await page.getByText('"abc" is no number').waitFor();
  await page.getByLabel("Highest (°C)").fill("1,5");
  await page.getByRole("button", { name: "Set the limits" }).click();
  await page.getByText("low_c must be below high_c").waitFor();
  await page.getByLabel("Highest (°C)").fill("12,5");
  await page.getByLabel("For at least").fill("20m");
  await page.getByRole("button", { name: "Set the limits" }).click();
  await page.getByText("The limits are set.").waitFor();
  await page.getByText("Within limits is from 2 °C to 12.5 °C; outside for 20m or longer is an excursion.").waitFor();
  assert.deepEqual(mock.sent.at(-1), {
    method: "PUT", path: "/v1/regions/dock/limits",
    body: { low_c: 2, high_c: 12.5, for: "20m", plausible_low_c: null, plausible_high_c: null },
  });
  await page.getByRole("button", { name: "Remove the limits" }).click();
  await page.getByText("No limits are set.").waitFor();
});

test("a device's expected interval is set and learned", async () => {
  await open("#/device/dock-s1");
  await page.getByText("Change how often it is expected").click();
  await page.getByLabel("Expected interval").fill("soon");
  await page.getByRole("button", { name: "Set the interval" }).click();
  await page.getByText('expected_interval: "soon" is no duration').waitFor();
  await page.getByLabel("Expected interval").fill("15m");
  await page.getByRole("button", { name: "Set the interval" }).click();
  await page.locator("dd", { hasText: "45 min" }).waitFor();
  await page.getByRole("button", { name: "Learn it" }).click();
  await page.locator("dd", { hasText: "3 min" }).waitFor();
  assert.deepEqual(mock.sent.map(({ body }) => body.expected_interval), ["soon", "15m", null]);
});

test("a reading is taken back from the device's page, and the list says why", async () => {
  await open("#/device/dock-s2?range=1h");
  await page.getByText("The readings as a table").click();
  await page.getByRole("link", { name: "Take back or correct" }).first().click();
  await page.getByLabel("Reason").first().fill("held in a hand");
  const [at, value] = await Promise.all(["Measured at", "It is now (°C)"].map((label) => page.getByLabel(label).inputValue()));
  await page.getByRole("button", { name: "Correct the reading" }).click();
  await page.getByText("Done.", { exact: true }).waitFor();
  await page.getByRole("cell", { name: "held in a hand" }).waitFor();
  assert.deepEqual(mock.sent.at(-1).body,
    { device_id: "dock-s2", timestamp: at, expect_c: Number(value), temperature_c: null, reason: "held in a hand" });
  await page.getByLabel("What to do").selectOption("replace");
  await page.getByLabel("Right value (°C)").fill("−4,25");
  await page.getByRole("button", { name: "Correct the reading" }).click();
  await page.getByRole("cell", { name: "-4.25 °C" }).waitFor();
  await page.getByText("Kept, and not applied: 3.00 °C stands in dock.").waitFor();
});

test("the warmest and the coldest reading are taken back from beside the figure", async () => {
  mock.isFrozen = true;
  for (const name of ["Minimum in this time", "Maximum in this time"]) {
    await open("#/device/dock-s2?range=6h");
    const figure = page.locator("dt", { hasText: new RegExp(`^${name}$`) }).locator("xpath=../dd");
    const shown = await figure.locator("span").textContent();
    await figure.getByRole("button", { name: /^Take back or correct the (warmest|coldest) reading/ }).click();
    await page.getByRole("heading", { name: "Corrections" }).waitFor();
    const [at, value] = await Promise.all(["Measured at", "It is now (°C)"].map((label) => page.getByLabel(label).inputValue()));
    assert.ok(shown.startsWith(celsius(Number(value))), `${name}: ${value}, not ${shown}`);
    const { readings } = await get(`v1/devices/dock-s2/readings?from=${at}&to=${new Date(Date.parse(at) + 1).toISOString()}`);
    assert.equal(readings[0].temperature_c, Number(value), name);
  }
  // Of a time whose single readings are deleted.
  await page.route(/\/v1\/devices\/dock-s2\/readings/, (route) => route.fulfill({ json: { readings: [] } }));
  await open("#/device/dock-s2?range=6h");
  await page.getByRole("button", { name: /^Take back or correct the warmest/ }).first().click();
  await page.getByText("There is no such reading to correct").waitFor();
  assert.match(page.url(), /#\/device\/dock-s2/);
  assert.deepEqual(errors, []);
});

test("a region is renamed and merged on the page of corrections, which lists both", async () => {
  await open("#/corrections");
  await page.getByText("Rename or merge a region or a device").click();
  const rename = async (from, into) => {
    await page.getByLabel("Name now").fill(from);
    await page.getByLabel("New name").fill(into);
    await page.getByLabel("Reason").last().fill("a typo");
    await page.getByRole("button", { name: "Rename or merge" }).click();
  };
  await rename("frezer-1", "freezer-9");
  await page.getByText("frezer-1 is freezer-9 now, and still answers to its old name.").waitFor();
  await rename("freezer-9", "dock");
  await page.getByText("1,007 readings of freezer-9 moved to dock.").waitFor();
  await page.getByRole("cell", { name: "merged" }).waitFor();
  await page.getByRole("cell", { name: "renamed" }).waitFor();
  assert.equal(mock.sent.length, 3);
});

test("conflicts, quarantine and rejections are pages in the words of the interface", async () => {
  await open("#/conflicts");
  await page.getByText("2 conflicts are listed · 5 were seen").waitFor();
  await page.getByRole("cell", { name: "-127.00 °C" }).waitFor();
  await page.getByRole("link", { name: "Quarantine" }).click();
  await page.getByText("ahead_of_clock: waits until the node's clock is set").waitFor();
  await page.getByRole("button", { name: /Try again: in/ }).first().click();
  await page.getByText("1 entry was tried again").waitFor();
  await page.getByText("1 entry with 1 reading").waitFor();
  await page.getByRole("button", { name: "Try all again" }).click();
  await page.getByText("Nothing is in quarantine.").waitFor();
  await page.getByRole("link", { name: "Rejections" }).click();
  await page.getByText("4 rejections are kept since").waitFor();
  await page.getByText("check the device's clock").first().waitFor();
  await page.getByRole("row", { name: /^dock-s6 dock 41/ }).waitFor();
  // A name as it was sent leads nowhere.
  assert.equal(await page.getByRole("link", { name: "green house" }).count(), 0);
  assert.deepEqual(errors, []);
});

test("retention is said on every page, and what it takes on one", async () => {
  await open("#/");
  await page.locator("footer").getByText("Single readings are kept for 400 days").waitFor();
  await page.getByRole("link", { name: "Status" }).click();
  await page.locator("dd", { hasText: "346 kB" }).waitFor();
  await page.locator("dd", { hasText: "141 MB" }).waitFor();
});

test("times are the node's or the viewer's, and the page says which", async () => {
  await open("#/region/freezer-1");
  await page.getByText("Day (Europe/Berlin)").waitFor();
  await page.getByText(/windows of 5m/).getByText(/ \+0[12] to /).waitFor();
  await page.getByLabel("Day (").fill("2026-10-25");
  // A day of 25 hours, in whole.
  await page.getByText("2026-10-25 00:00:00 +02 to 2026-10-26 00:00:00 +01").waitFor();
  await page.getByRole("button", { name: "Later" }).click();
  await page.getByText("2026-10-26 00:00:00 +01 to 2026-10-27 00:00:00 +01").waitFor();
  await page.getByLabel("Times are").selectOption("here");
  await page.getByText("Day (America/New_York)").waitFor();
  await page.getByText("2026-10-26 00:00:00 −04 to 2026-10-27 00:00:00 −04").waitFor();
  await page.reload();
  await page.getByText("Day (America/New_York)").waitFor();
  assert.deepEqual(errors, []);
});

test("days are as long as they are in their zones", async () => {
  await open("#/");
  const lengths = await page.evaluate(async (days) => {
    const { beginOf, dateAfter, takeNodeZone } = await import(new URL("assets/zone.js", document.baseURI));
    return days.map(([zone, date]) => {
      takeNodeZone(zone);
      return [zone, date, (beginOf(dateAfter(date, 1)) - beginOf(date)) / 3_600_000];
    });
  }, [["Europe/Berlin", "2026-10-25"], ["Europe/Berlin", "2026-03-29"], ["Australia/Lord_Howe", "2026-04-05"],
    ["America/St_Johns", "2026-11-01"], ["Asia/Kathmandu", "2026-10-25"], ["Africa/Cairo", "2026-04-24"], ["UTC", "2026-01-01"]]);
  assert.deepEqual(lengths.map(([, , hours]) => hours), [25, 23, 24.5, 25, 24, 23, 24], JSON.stringify(lengths));
});

test("a zone that the browser does not know is said, and times are UTC", async () => {
  mock.timeZone = "CET-1CEST,M3.5.0,M10.5.0/3";
  await open("#/");
  await page.getByText("The node's zone is CET-1CEST,M3.5.0,M10.5.0/3, which this browser does not know.").waitFor();
});

test("a node that lacks routes is asked for none of them", async () => {
  mock.without = NEW;
  for (const hash of ["#/", "#/region/freezer-1", "#/device/dock-s1", "#/conflicts"]) await open(hash);
  const links = await page.locator("#views a").allTextContents();
  assert.deepEqual(links, ["Regions", "Compare", "Conflicts", "Quarantine"]);
  // Without windows of devices, the line is that of all single readings.
  await open("#/device/dock-s1?range=24h");
  await page.getByText(/on average of 1,4\d\d readings/).waitFor();
  await open("#/devices");
  await page.getByRole("heading", { name: "Regions" }).waitFor();
  await open("#/region/freezer-1");
  await page.getByText(/on average of [\d,]+ readings/).waitFor();
  for (const words of ["Excursions", "Change the limits", "Devices as lines"]) {
    assert.equal(await page.getByText(words).filter({ visible: true }).count(), 0, words);
  }
  assert.deepEqual(errors, []);
});

test("the wall has the worst first, says what is old, and goes on by itself", async () => {
  await page.clock.install();
  await open("#/kiosk");
  const first = page.locator(".tiles li").first();
  await first.getByText("freezer-1", { exact: true }).waitFor();
  await first.getByText("above -18 °C").waitFor();
  // Without limits, nothing says that a temperature is in order.
  const tile = (name) => page.locator(".tiles li", { has: page.getByText(name, { exact: true }) });
  assert.equal(await tile("dock").locator(".state").textContent(), "no limits set");
  assert.equal(await tile("cold-room-2").locator(".state").textContent(), "in order");
  assert.equal(await page.locator("header").isVisible(), false);
  const before = await page.locator(".clock").textContent();
  await page.clock.runFor(2_000);
  assert.notEqual(await page.locator(".clock").textContent(), before);
  mock.fall();
  await page.clock.runFor(70_000);
  await page.getByText(/OLD: no answer for 1 min/).waitFor();
  const crossed = () => page.locator(".tiles .number").first().evaluate((node) => getComputedStyle(node).textDecorationLine);
  assert.equal(await crossed(), "line-through");
  await checkAccessible(page, "an old wall");
  await shot("wall-old");
  mock.isDown = false;
  await page.clock.runFor(31_000);
  await page.getByText("1 outside limits").waitFor();
  assert.equal(await crossed(), "none");
});

test("it is installable, opens without the service, and says how old its figures are", async () => {
  await page.context().close();
  page = await opened({ serviceWorkers: "allow" });
  await open("#/region/freezer-1");
  await page.getByText(/on average of [\d,]+ readings/).waitFor();
  await page.evaluate("navigator.serviceWorker.ready.then(() => null)");
  await page.waitForFunction(async () => (await (await caches.open("isotherm-figures")).keys()).length > 0);
  const manifest = await get("assets/isotherm.webmanifest");
  for (const { src } of manifest.icons) assert.equal((await fetch(`${mock.url}/assets/${src}`)).status, 200, src);
  mock.fall();
  await page.reload();
  await state("error");
  await page.getByRole("alert").getByText(/What is shown is of 2\d{3}-.* ago\./).waitFor();
  assert.equal(await page.locator("#state").textContent(), "Old");
  // Nothing that is old says that it is now.
  const when = await page.locator(".now .when").evaluate((node) => getComputedStyle(node, "::before").content);
  assert.equal(when, '"Then: "');
  await page.getByText(/on average of [\d,]+ readings/).waitFor();
  await page.getByText("Day (Europe/Berlin)").waitFor();
  assert.equal(await page.evaluate("document.body.classList.contains('old')"), true);
  await checkAccessible(page, "old figures");
  await shot("old");
  // A view that was never seen has nothing to show, and says no more than that.
  await page.goto(`${mock.url}/#/status`);
  await page.getByRole("alert").getByText("No answer: the service can't be reached. Trying again.").waitFor();
  mock.isDown = false;
  await state("live");
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.equal(await page.evaluate("document.body.classList.contains('old')"), false);
});

test("all files of the page are kept for a time without the service", async () => {
  const worker = await (await fetch(`${mock.url}/assets/sw.js`)).text();
  const listed = [...worker.match(/const FILES = \[([^\]]*)\]/)[1].matchAll(/"([^"]+)"/g)].map(([, name]) => name).sort();
  const apart = ["index.html", "openapi.json", "sw.js"];
  const files = readdirSync(ASSETS, { withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name)
    .filter((name) => !apart.includes(name) && !name.endsWith(".txt") && !name.startsWith("report")).sort();
  assert.deepEqual(listed, files);
});
