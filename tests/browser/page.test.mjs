// The page in a browser. Started by tests/it/under_load/in_a_browser.rs,
// which gives two services:
// ISOTHERM_URL has the Seattle data and stores that fail on demand,
// ISOTHERM_EMPTY_URL has nothing. Screenshots go to ISOTHERM_SCREENSHOTS.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, request as forward } from "node:http";
import { join } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { chromium } from "playwright-core";
import { checkAccessible } from "./accessible.mjs";

const { ISOTHERM_URL: url, ISOTHERM_EMPTY_URL: emptyUrl, ISOTHERM_SCREENSHOTS: shots } = process.env;
const DESKTOP = { width: 1200, height: 900 };
const PHONE = { width: 390, height: 800 };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Where the page may come from, and ask. */
const origins = [url, emptyUrl];

let browser;
let page;
let elsewhere;
let errors;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.ISOTHERM_CHROMIUM,
    args: ["--no-sandbox"],
  });
});
after(() => browser.close());

beforeEach(async () => {
  elsewhere = [];
  errors = [];
  page = await opened({ viewport: DESKTOP, colorScheme: "light" });
});
afterEach(async () => {
  // A request that a test answers itself may be on its way.
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.context().close();
  assert.deepEqual(elsewhere, [], "requests to other hosts");
});

async function opened(options) {
  // Files come from the service, so that a test can change what it answers.
  const context = await browser.newContext({ serviceWorkers: "block", ...options });
  const made = await context.newPage();
  made.on("request", (request) => {
    const asked = new URL(request.url());
    if (!origins.includes(asked.origin) && asked.protocol !== "blob:") elsewhere.push(asked.href);
  });
  made.on("pageerror", (error) => errors.push(error.message));
  made.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  return made;
}

async function post(to, readings) {
  const answer = await fetch(`${to}/v1/readings`, {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "wait" },
    body: JSON.stringify(readings),
  });
  assert.ok(answer.ok, `${answer.status}`);
}

async function fail(rules) {
  const faults = `${url}/.well-known/isotherm-host/faults`;
  const answer = await fetch(faults, { method: "PUT", body: JSON.stringify({ seed: 1, rules }) });
  assert.equal(answer.status, 204);
}

/** Posts a reading of now, of which the page is told. */
async function measure(region, temperature_c) {
  await post(url, [{ device_id: `${region}-d1`, region, temperature_c, timestamp: Date.now() }]);
}

/** A temperature that rises and falls. */
const wave = (n) => 20 + 5 * Math.sin(n / 9);

/** Posts readings of `region` that end at `to`, one every `interval`. */
async function report(region, { to, interval, readings, device = "d1", temperature = () => 20 }) {
  await post(url, Array.from({ length: readings }, (_, n) => ({
    device_id: `${region}-${device}`, region, temperature_c: temperature(n), timestamp: to - n * interval,
  })));
}

/** The page's lists of regions, changed by `change` on their way. */
async function listed(change) {
  await page.route((asked) => asked.pathname.endsWith("/v1/regions"), async (route) => {
    const response = await route.fetch();
    const json = await response.json();
    change(json);
    await route.fulfill({ response, json });
  });
}

/** Opens the view of a region, and waits until it is there. Nothing of one that was open
 * before is waited for: it shows what it has until the next answer. */
async function openRegion(name, query, text) {
  await page.goto("about:blank");
  await page.goto(`${url}/#/region/${name}?${new URLSearchParams(query)}`);
  await page.getByText(text).waitFor();
}

/** The marks in the chart in the colour of the average, from left to right, each
 * with its width and height in pixels. */
async function marks() {
  return page.locator("canvas").evaluate((canvas) => {
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const isInk = (x, y) => [11, 92, 138, 255].every((value, channel) =>
      Math.abs(data[4 * (y * width + x) + channel] - value) < 60);
    const found = [];
    let last = 0;
    for (let x = 0; x < width; x += 1) {
      const inked = Array.from({ length: height }, (_, y) => y).filter((y) => isInk(x, y)).length;
      if (inked > 0 && last === 0) found.push({ width: 0, height: 0 });
      if (inked > 0) {
        found.at(-1).width += 1;
        found.at(-1).height = Math.max(found.at(-1).height, inked);
      }
      last = inked;
    }
    return found;
  });
}

const state = (name) => page.waitForSelector(`#state[data-state="${name}"]`, { timeout: 40_000 });
const card = (name) => page.locator(`[data-region="${name}"]`);
const shot = (name) => page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });

/** The text of a file that was downloaded. */
async function text(download) {
  const chunks = await (await download.createReadStream()).toArray();
  return Buffer.concat(chunks).toString();
}

/** Waits until the card shows this average, or the word in its place. */
async function average(name, text, timeout) {
  await card(name).locator(".average", { hasText: text }).waitFor({ timeout });
}

const accessible = (what) => checkAccessible(page, what);

test("the regions are there, and a click opens the chart of one", async () => {
  await page.goto(url);
  await average("seattle", "silent");
  await card("seattle").getByText("15 y ago").waitFor();
  assert.match(await card("seattle").locator("path[d]").first().getAttribute("d"), /^M.*L/);
  await card("seattle").click();
  await page.getByRole("heading", { name: "seattle" }).waitFor();
  await page.getByLabel("Range").selectOption("1y");
  await page.getByText("8,759 readings").waitFor();
  await page.locator("canvas").waitFor();
  const inked = await page.locator("canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, index) => index % 4 === 3 && value > 0).length;
  });
  assert.ok(inked > 10_000, `the chart has ${inked} pixels`);
  await page.getByText("The windows as a table").click();
  await page.getByRole("cell", { name: "2010-07-25 00:00:00Z" }).waitFor();
  await page.getByRole("cell", { name: "kbfi" }).waitFor();
  await page.getByText("The windows as a table").click();
  await shot("region");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Download windows (CSV)").click()]);
  assert.equal(download.suggestedFilename(), "seattle.csv");
  await page.getByText("Earlier").click();
  await page.getByText("0 readings").waitFor();
  await page.goBack();
  await page.getByText("8,759 readings").waitFor();
  assert.deepEqual(errors, []);
});

test("its icons are those of the files, byte by byte", async () => {
  for (const size of [192, 512]) {
    const answer = await fetch(`${url}/assets/icon-${size}.png`);
    assert.equal(answer.headers.get("content-type"), "image/png");
    const file = readFileSync(new URL(`../../query/assets/icon-${size}.png`, import.meta.url));
    assert.ok(file.equals(Buffer.from(await answer.arrayBuffer())), `${size}`);
  }
  const manifest = await fetch(`${url}/assets/isotherm.webmanifest`);
  assert.equal(manifest.headers.get("content-type"), "application/manifest+json");
});

test("a new reading moves the number within five seconds", async () => {
  const timestamp = Date.now();
  await post(url, [{ device_id: "d1", region: "hall", temperature_c: 20, timestamp }]);
  await page.goto(url);
  await average("hall", "20.00 °C");
  await post(url, [{ device_id: "d2", region: "hall", temperature_c: 30, timestamp }]);
  await average("hall", "25.00 °C", 5_000);
  await page.goto(`${url}/#/region/hall?range=1h`);
  await page.getByText("2 readings").waitFor();
  await post(url, [{ device_id: "d3", region: "hall", temperature_c: 40, timestamp }]);
  await page.getByText("30.00 °C on average of 3 readings").waitFor({ timeout: 5_000 });
  assert.deepEqual(errors, []);
});

test("it can be used by keyboard alone", async () => {
  await page.goto(url);
  await average("seattle", "silent");
  let focused = "";
  for (let presses = 0; presses < 40 && !focused.includes("seattle"); presses += 1) {
    await page.keyboard.press("Tab");
    focused = await page.evaluate("document.activeElement.textContent");
  }
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "seattle" }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.textContent"), "All regions");
});

test("everybody can read it: light and dark, on a desk and on a phone", async () => {
  for (const [viewport, size] of [[DESKTOP, "desk"], [PHONE, "phone"]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.context().close();
      page = await opened({ viewport, colorScheme });
      await page.goto(url);
      await average("seattle", "silent");
      await accessible(`regions ${size} ${colorScheme}`);
      await shot(`regions-${size}-${colorScheme}`);
      await page.goto(`${url}/#/region/seattle?range=30d`);
      await page.locator("canvas").waitFor();
      await page.getByRole("cell", { name: "kbfi" }).waitFor();
      await accessible(`region ${size} ${colorScheme}`);
      await shot(`region-${size}-${colorScheme}`);
    }
  }
  assert.deepEqual(errors, []);
});

test("while the database is away the last good figures are shown as such", async () => {
  await page.goto(url);
  await average("seattle", "silent");
  await state("live");
  await fail([{ store: "sqlite", effect: "fail" }]);
  await state("stale");
  await page.getByRole("alert").getByText("The regions database is away").waitFor();
  // What is silent is not told then: the average of its newest hour is said to be that.
  await average("seattle", "4.30 °C");
  await card("seattle").getByText(/^hour of 2010-12-31/).waitFor();
  await accessible("stale");
  await shot("stale");
  await fail([]);
  await state("live");
  assert.equal(await page.getByRole("alert").count(), 0);
});

test("without an answer it says so, keeps what it has, and goes on by itself", async () => {
  await page.goto(url);
  await average("seattle", "silent");
  await page.context().setOffline(true);
  await state("error");
  await page.getByText("What is shown is of").waitFor();
  assert.equal(await card("seattle").locator(".average").textContent(), "silent");
  await shot("no-answer");
  await page.context().setOffline(false);
  await state("live");
  await page.goto(`${url}/#/region/nowhere`);
  await page.getByText("No reading has named this region yet").waitFor();
});

test("from no region to five hundred", async () => {
  await page.goto(emptyUrl);
  await page.getByText("No region yet").waitFor();
  await accessible("empty");
  await shot("empty");
  const series = [];
  page.on("request", (request) => {
    if (request.url().includes("/windows")) series.push(request.url());
  });
  const timestamp = Date.now();
  const name = (n) => `region-${String(n).padStart(3, "0")}`;
  await post(emptyUrl, [{ device_id: "d0", region: name(0), temperature_c: 0, timestamp }]);
  await post(emptyUrl, [{ device_id: "d0", region: "contradicting", temperature_c: 1, timestamp }]);
  await card("contradicting").getByText("no counted reading").waitFor();
  await post(emptyUrl, Array.from({ length: 500 }, (_, n) =>
    ({ device_id: `d${n}`, region: name(n), temperature_c: n / 10, timestamp })));
  await average("region-000", "0.00 °C", 5_000);
  await page.getByText("501 of 501 regions").waitFor({ timeout: 5_000 });
  assert.equal(await page.locator("[data-region]").count(), 501);
  await average("region-001", "0.10 °C", 5_000);
  assert.ok(series.length < 150, `${series.length} series for what is in view`);
  await accessible("five hundred");
  await page.screenshot({ path: join(shots, "five-hundred.png") });
  await page.getByLabel("Filter").fill("region-499");
  await average("region-499", "49.90 °C", 5_000);
  assert.equal(await page.locator("[data-region]").count(), 1);
  assert.deepEqual(errors, []);
});

test("all time is all of it: ten years of days have all their readings", async () => {
  const to = Date.UTC(2019, 11, 27, 12);
  await report("decade", { to, interval: DAY, readings: 3_650, temperature: (n) => (n < 3_649 ? 20 : -30) });
  await openRegion("decade", { range: "all" }, "on average of 3,650 readings");
  await page.locator("dd", { hasText: "-30.00 °C" }).waitFor();
  assert.deepEqual(errors, []);
});

test("a range has all the readings that its heading says", async () => {
  // It ends early in a step, and so it begins early in one: nearly all of that is in it.
  const to = Math.floor(Date.now() / HOUR) * HOUR - HOUR + 30_000;
  await report("minutes", { to, interval: MINUTE, readings: 1_440 });
  for (const step of ["1m", "5m", "15m", "1h", "6h"]) {
    await openRegion("minutes", { range: "24h", step, to }, `windows of ${step}`);
    await page.getByText("on average of 1,440 readings").waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Download windows (CSV)").click()]);
    const [head, ...rows] = (await text(download)).trim().split("\r\n");
    const column = head.split(",").indexOf("count");
    const counted = rows.reduce((sum, row) => sum + Number(row.split(",")[column]), 0);
    assert.equal(counted, 1_440, step);
  }
  assert.deepEqual(errors, []);
});

test("the automatic step is never finer than readings come", async () => {
  const to = Math.floor(Date.now() / HOUR) * HOUR;
  const day = Math.floor(Date.now() / DAY) * DAY;
  await report("each-minute", { to, interval: MINUTE, readings: 1_440, temperature: wave });
  await report("each-ten", { to, interval: 10 * MINUTE, readings: 144, temperature: wave });
  await report("each-hour", { to, interval: HOUR, readings: 168, temperature: wave });
  await report("each-day", { to: day, interval: DAY, readings: 366, temperature: wave });
  for (const [name, range, end, step] of [
    ["each-minute", "24h", to, "5m"], ["each-ten", "24h", to, "15m"], ["each-ten", "6h", to, "15m"],
    ["each-ten", "30d", to, "6h"], ["each-hour", "7d", to, "1h"], ["each-hour", "24h", to, "1h"],
    ["each-day", "30d", day, "1d"], ["each-day", "1y", day, "1d"], ["each-day", "7d", day, "1d"],
  ]) {
    await openRegion(name, { range, to: end }, "windows of ");
    const summary = await page.getByText("windows of ").textContent();
    assert.equal(summary.match(/windows of (.*)/)[1], step, `${name} over ${range}`);
    // One line, without a gap.
    assert.equal((await marks()).length, 1, `${name} over ${range}`);
    await shot(`${name}-${range}`);
  }
  assert.deepEqual(errors, []);
});

test("lost readings and other devices' turns leave the automatic step as it is", async () => {
  const to = Math.floor(Date.now() / HOUR) * HOUR;
  const turns = [0, 1, 2, 3, 4, 5];
  await Promise.all(turns.map((n) =>
    report("turns", { to: to - n * 10 * MINUTE, interval: HOUR, readings: 160, device: `d${n}` })));
  await openRegion("turns", { range: "7d", to }, "windows of 1h");
  await report("lossy", { to, interval: HOUR, readings: 80 });
  await report("lossy", { to: to - 88 * HOUR, interval: HOUR, readings: 80 });
  await openRegion("lossy", { range: "7d", to }, "windows of 1h");
});

test("a window without a neighbour has a mark in the chart", async () => {
  const to = Math.floor(Date.now() / HOUR) * HOUR;
  for (const [interval, readings, range, step] of [
    [10 * MINUTE, 144, "24h", "5m"], [HOUR, 168, "7d", "15m"], [DAY, 30, "30d", "1h"],
  ]) {
    const region = `marks-${range}`;
    await report(region, { to, interval, readings, temperature: wave });
    await openRegion(region, { range, step, to }, `windows of ${step}`);
    const found = await marks();
    assert.equal(found.length, readings, range);
    assert.ok(found.every(({ width, height }) => width >= 3 && height >= 3 && height < 9), JSON.stringify(found));
    await shot(region);
  }
  await report("marks-24h", { to, interval: 12 * HOUR, readings: 2, device: "d2", temperature: () => 30 });
  await openRegion("marks-24h", { range: "24h", step: "5m", to }, "on average of 146 readings");
  const tall = (await marks()).filter(({ height }) => height > 50);
  assert.equal(tall.length, 2, "where minimum and maximum differ, the mark has them");
  await shot("marks-minimum-maximum");
  assert.deepEqual(errors, []);
});

test("an hour without a neighbour has a mark in the sparkline", async () => {
  const to = Math.floor(Date.now() / HOUR) * HOUR;
  await report("apart", { to, interval: 3 * HOUR, readings: 8 });
  await page.goto(url);
  await average("apart", "20.00 °C");
  // The number is in the list of regions; the hours come after it.
  const dots = card("apart").locator("path.alone[d^=M]");
  await dots.waitFor({ state: "attached" });
  assert.equal((await dots.getAttribute("d")).match(/M/g).length, 8);
  assert.ok(await dots.evaluate((path) => parseFloat(getComputedStyle(path).strokeWidth)) >= 4);
  await card("apart").screenshot({ path: join(shots, "sparkline.png") });
});

test("a card whose request fails says so, and leaves the others alone", async () => {
  await measure("attic", 21);
  await listed((answer) => {
    const [first] = answer.regions;
    answer.regions.unshift({ ...first, region: "." }, { ...first, region: ".." });
  });
  let isFailing = true;
  await page.route("**/v1/regions/attic/windows*", (route) => (isFailing
    ? route.fulfill({ status: 503, json: { detail: "out of order" } }) : route.continue()));
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(url);
  await average("seattle", "silent");
  await card("attic").getByText("No answer: out of order").waitFor();
  await state("live");
  assert.equal(await page.getByRole("alert").count(), 0);
  for (const name of [".", ".."]) {
    await card(name).getByText("No answer: no URL can have this name").waitFor();
    assert.equal(await card(name).locator("a.face[href]").count(), 0);
  }
  assert.deepEqual(asked.filter((path) => /windows$/.test(path) && !/regions\/.+\/windows$/.test(path)), []);
  await accessible("failed cards");
  await shot("failed-cards");
  // The list has its number all the same, and does not hide what failed.
  assert.equal(await card("attic").locator(".average").textContent(), "21.00 °C");
  await card("attic").evaluate((node) => {
    node.isSaid = true;
    new MutationObserver(() => { node.isSaid &&= node.textContent.includes("No answer"); })
      .observe(node, { childList: true, characterData: true, subtree: true });
  });
  await measure("attic", 22);
  await average("attic", "22.00 °C", 5_000);
  assert.ok(await card("attic").evaluate((node) => node.isSaid), "it says so until it has its hours");
  isFailing = false;
  await measure("attic", 23);
  await average("attic", "23.00 °C", 5_000);
  await card("attic").getByText("No answer").waitFor({ state: "detached", timeout: 5_000 });
  await card("attic").getByText("1 device", { exact: true }).waitFor();
  assert.match(await card("attic").locator("path.alone").getAttribute("d"), /^M/);
  await page.goto(`${url}/#/region/..`);
  await page.getByRole("alert").getByText("no URL can have this name").waitFor();
});

/** How many pixels of the chart have the colour of a variable of the style, within what the
 * edges of a line make of it, and how many columns they are in. */
function inked(name) {
  return page.locator("canvas").evaluate((canvas, variable) => {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
    probe.fillRect(0, 0, 1, 1);
    const wanted = probe.getImageData(0, 0, 1, 1).data;
    const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const columns = new Set();
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 250 && [0, 1, 2].every((channel) => Math.abs(data[at + channel] - wanted[channel]) <= 3)) columns.add((at / 4) % width);
    }
    return columns.size;
  }, name);
}

test("a device has its line and its figures at every range", async () => {
  const now = Date.now();
  await report("line", { to: now, interval: MINUTE, readings: 1_440, temperature: wave });
  await report("line", { to: now - 2 * DAY, interval: 15 * MINUTE, readings: 400, temperature: wave });
  // Beside it, so that the average of both is neither's line.
  await report("line", { to: now, interval: MINUTE, readings: 60, device: "d2", temperature: () => 5 });
  for (const [range, readings, step] of [["1h", 60, "1m"], ["24h", 1_440, "5m"], ["7d", 1_840, "1h"]]) {
    await page.goto("about:blank");
    await page.goto(`${url}/#/device/line-d1?range=${range}&step=${step}`);
    await page.waitForFunction((least) => {
      const found = document.querySelector("main")?.textContent.match(/on average of ([\d,]+) readings/);
      return found && Number(found[1].replace(",", "")) >= least;
    }, readings * 0.9);
    await state("live");
    assert.ok(await inked("--accent") > 100, `${range}: the line`);
    assert.equal(await page.getByRole("alert").count(), 0, range);
    await shot(`device-${range}`);
    if (range !== "7d") continue;
    await page.getByText("The readings as a table").click();
    const times = () => page.locator("details table tbody tr td:first-child").allTextContents();
    await page.getByRole("button", { name: "Older readings" }).click();
    await page.waitForFunction(() => document.querySelectorAll("details table tbody tr").length >= 200);
    const listed = await times();
    assert.deepEqual(listed, listed.toSorted().reverse(), "the newest first");
    assert.equal(new Set(listed).size, listed.length, "each once");
  }
  await openRegion("line", { lines: "devices", range: "1h" }, /on average of \d+ readings/);
  await page.locator(".u-legend").getByText("line-d1").waitFor();
  await shot("device-lines");
  for (const colour of ["--c1", "--c2"]) assert.ok(await inked(colour) > 100, `${colour}: the line of a device in its region`);
  assert.deepEqual(errors, []);
});

test("a part of a view that fails leaves its other parts", async () => {
  await report("parts", { to: Date.now(), interval: MINUTE, readings: 60, temperature: wave });
  await fetch(`${url}/v1/regions/parts/limits`, {
    method: "PUT", body: JSON.stringify({ high_c: 22 }), headers: { "content-type": "application/json" },
  });
  const parts = [["windows", "No chart: out of order"], ["gaps", "out of order"], ["excursions", "out of order"]];
  for (const [part, words] of parts) {
    const failing = `**/v1/devices/parts-d1/${part}*`;
    await page.route(failing, (route) => route.fulfill({ status: 503, json: { detail: "out of order" } }));
    await page.goto("about:blank");
    await page.goto(`${url}/#/device/parts-d1?range=1h`);
    await page.getByText(words).first().waitFor();
    await page.locator("dt", { hasText: "Expected every" }).waitFor();
    await state("live");
    assert.equal(await page.locator("canvas").count(), part === "windows" ? 0 : 1, part);
    await page.unroute(failing);
  }
  for (const [path, words] of [["regions/parts/windows", "No chart: out of order"], ["devices", "No devices: out of order"],
    ["devices/parts-d1/windows", "no line of parts-d1: out of order"]]) {
    const failing = (asked) => asked.pathname.endsWith(`/v1/${path}`);
    await page.route(failing, (route) => route.fulfill({ status: 503, json: { detail: "out of order" } }));
    await openRegion("parts", { lines: "devices", range: "1h" }, words);
    await page.getByRole("heading", { name: "What the average is made of" }).waitFor();
    await page.unroute(failing);
  }
  await fetch(`${url}/v1/regions/parts/limits`, { method: "DELETE" });
});

test("all pages of a list are found, whatever comes before the path", async () => {
  const names = ["page-1", "page-2", "page-3", "page-4", "page-5"];
  await post(url, names.map((region) => ({ device_id: region, region, temperature_c: 1, timestamp: Date.now() })));
  const { regions } = await (await fetch(`${url}/v1/regions`)).json();
  const proxy = await proxied("/a/b");
  let isRelative;
  await page.route((asked) => asked.pathname.endsWith("/v1/regions"), async (route) => {
    const asked = new URL(route.request().url());
    asked.searchParams.set("limit", 2);
    const response = await route.fetch({ url: asked.href });
    const json = await response.json();
    if (json.next) json.next = isRelative ? json.next.replace(/^[^?]*/, "") : json.next;
    await route.fulfill({ response, json });
  });
  for (const base of [`${url}/`, `${proxy.origin}/a/b/`]) {
    for (isRelative of [false, true]) {
      await page.goto("about:blank");
      await page.goto(base);
      await page.getByText(`${regions.length} of ${regions.length} regions`).waitFor();
      await average("page-1", "1.00 °C");
    }
  }
  // Files, readings and events: nothing was asked for outside of the path.
  assert.deepEqual(proxy.missed, []);
  assert.ok(proxy.asked.includes("/a/b/v1/events"), `${proxy.asked}`);
  await page.goto("about:blank");
  await proxy.close();
  assert.deepEqual(errors, []);
});

/** A proxy that serves the service below `path`. */
async function proxied(path) {
  const [asked, missed] = [[], []];
  const server = createServer((request, response) => {
    asked.push(request.url);
    if (!request.url.startsWith(`${path}/`)) {
      missed.push(request.url);
      response.writeHead(404).end();
      return;
    }
    const { hostname, port } = new URL(url);
    const options = { hostname, port, path: request.url.slice(path.length), method: request.method, headers: request.headers };
    const upstream = forward(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    upstream.on("error", () => response.destroy());
    response.on("close", () => upstream.destroy());
    request.pipe(upstream);
  });
  await new Promise((listens) => { server.listen(0, "127.0.0.1", listens); });
  const origin = `http://127.0.0.1:${server.address().port}`;
  origins.push(origin);
  const close = () => new Promise((closed) => {
    server.close(closed);
    server.closeAllConnections();
  });
  return { origin, asked, missed, close };
}

test("a reading ahead of the node's clock does not look fresh", async () => {
  await measure("attic", 21);
  let ahead = 20.5 * MINUTE;
  await listed(({ regions, as_of }) => {
    regions.find(({ region }) => region === "attic").newest = new Date(Date.parse(as_of) + ahead).toISOString();
  });
  await page.goto(url);
  const fresh = card("attic").locator(".fresh");
  await fresh.getByText(/^(19|20) min ahead$/).waitFor();
  assert.equal(await fresh.getAttribute("data-age"), "ahead");
  const mark = () => fresh.evaluate((node) => getComputedStyle(node, "::before").content);
  assert.notEqual(await mark(), '"●"');
  await accessible("ahead");
  await card("attic").screenshot({ path: join(shots, "ahead.png") });
  ahead = 4 * MINUTE;
  await measure("attic", 21);
  await fresh.getByText("just now").waitFor();
  assert.equal(await fresh.getAttribute("data-age"), "fresh");
  assert.equal(await mark(), '"●"');
});

test("a list that may not have all regions says so", async () => {
  let isComplete = false;
  await listed((answer) => {
    if (!isComplete) Object.assign(answer, { complete: false, stale: true });
  });
  await page.goto(url);
  await page.getByRole("alert").getByText("The list may not have all regions.").waitFor();
  await page.getByText("there may be more").waitFor();
  await accessible("incomplete");
  await page.getByLabel("Filter").fill("nowhere");
  await page.getByText("No region in the list has such a name").waitFor();
  await page.getByLabel("Filter").fill("");
  isComplete = true;
  await measure("attic", 21);
  await state("live");
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.equal(await page.getByText("there may be more").count(), 0);
});

test("the warmest of 205 regions comes first, and by name only those in view are asked about", async () => {
  const series = [];
  page.on("request", (request) => {
    if (request.url().includes("/windows")) series.push(request.url());
  });
  const timestamp = Date.now();
  const zone = (n) => `zone-${String(n).padStart(3, "0")}`;
  const temperature = (n) => ({ 203: 95, 204: -40 })[n] ?? n / 10;
  await post(url, Array.from({ length: 205 }, (_, n) =>
    ({ device_id: zone(n), region: zone(n), temperature_c: temperature(n), timestamp })));
  await page.goto(url);
  await page.getByLabel("Filter").fill("zone-");
  await page.getByText("205 of ").waitFor();
  await average("zone-000", "0.00 °C");
  assert.ok(series.length < 100, `${series.length} series for what is in view`);
  const first = (name) => page.locator(`.regions li:first-child[data-region="${name}"]`).waitFor();
  await page.getByLabel("Order").selectOption("warmest");
  await first("zone-203");
  await page.getByText(/the average is that of the newest hour with readings|now is the newest reading of each device/).waitFor();
  const order = await page.locator("[data-region]").evaluateAll((nodes) => nodes.map((node) => node.dataset.region));
  assert.deepEqual(order.slice(0, 3), ["zone-203", "zone-202", "zone-201"]);
  assert.deepEqual(order.slice(-2), ["zone-000", "zone-204"]);
  await page.screenshot({ path: join(shots, "warmest.png") });
  const before = series.length;
  const asked = page.waitForRequest("**/v1/regions/zone-007/windows*");
  await post(url, [{ device_id: "hot", region: zone(7), temperature_c: 500, timestamp }]);
  await asked;
  await first("zone-007");
  assert.deepEqual(series.slice(before).map((asked) => new URL(asked).pathname), ["/v1/regions/zone-007/windows"]);
  await page.getByLabel("Order").selectOption("coldest");
  await first("zone-204");
  assert.deepEqual(errors, []);
});

test("the report of excursions has what an auditor asks for, on a screen and on paper", async () => {
  const region = "freezer";
  const limits = (body, method = "PUT") => fetch(`${url}/v1/regions/${region}/limits`, {
    method, body: JSON.stringify(body), headers: { "content-type": "application/json" },
  });
  const address = `${url}/assets/report.html#region=${region}&from=2026-11-25&to=2026-11-25&zone=Europe/Berlin`;
  // Too warm for 40 minutes of a local day, from 14:10 on.
  const begin = Date.parse("2026-11-25T13:10:00Z");
  const temperature = (n) => (n >= 30 && n < 70 ? -11.3 : -20);
  await post(url, Array.from({ length: 100 }, (_, n) =>
    ({ device_id: "f1", region, temperature_c: temperature(n), timestamp: begin + (n - 30) * MINUTE })));
  await page.goto(address);
  await page.getByText("No limits are set for this region, so there are no excursions.").waitFor();
  await page.getByText("Readings counted").waitFor();
  assert.deepEqual(errors, []);
  assert.equal((await limits({ low_c: -25, high_c: -18, for: "20m" })).status, 200);
  await page.getByRole("button", { name: "Show" }).click();
  const row = page.getByRole("region", { name: "Excursions" }).getByRole("row").nth(1);
  await row.waitFor();
  for (const part of ["above -18\u00a0°C", "2026-11-25 14:10:00 +01:00", "2026-11-25 14:50:00 +01:00",
    "40\u00a0min", "-11.3\u00a0°C at 2026-11-25 14:10:00 +01:00 by f1", "none"]) {
    assert.ok((await row.textContent()).includes(part), part);
  }
  // Its sensor was silent for the rest of the day; what was corrected is counted.
  const silent = page.getByRole("region", { name: "Times without a reading" }).getByRole("row").nth(1);
  for (const part of ["f1", "2026-11-25 15:19:00 +01:00", "not in the range"]) {
    assert.ok((await silent.textContent()).includes(part), part);
  }
  await page.locator("dt", { hasText: "Corrected" }).waitFor();
  for (const part of ["Europe/Berlin", "2026-11-26 00:00:00 +01:00", "20\u00a0min"]) {
    await page.getByRole("definition").getByText(part, { exact: true }).waitFor();
  }
  await page.getByText("This report claims conformity with no standard.").waitFor();
  await accessible("report");
  await shot("report");
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "CSV" }).click();
  assert.match(await text(await download), /^region,kind,begin,end,.*\r\nfreezer,high,2026-11-25T13:10:00.000Z,/);
  // In the dark scheme, too, paper is white.
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const colours = () => page.evaluate(() => {
    const { color, backgroundColor } = getComputedStyle(document.body);
    return [color, backgroundColor];
  });
  assert.deepEqual(await colours(), ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]);
  assert.ok(await page.getByRole("button", { name: "Print" }).isHidden());
  await shot("report-print");
  await page.emulateMedia({ media: "screen", colorScheme: "light" });
  await page.setViewportSize(PHONE);
  await accessible("report on a phone");
  await limits({}, "DELETE");
  assert.deepEqual(errors, []);
});
