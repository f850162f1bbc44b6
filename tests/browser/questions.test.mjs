// The questions of docs/questions.md on the page, each in at most two clicks from its start.
// Started by tests/it/questions/on_page.rs, which gives a service with the scenario
// (ISOTHERM_URL), and what is true of it (ISOTHERM_TRUTH). Each test has the heading of its
// question.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { chromium } from "playwright-core";

const { ISOTHERM_URL: url, ISOTHERM_CHROMIUM: executablePath } = process.env;
const truth = JSON.parse(process.env.ISOTHERM_TRUTH);
const CLICKS_MAX = 2;

let browser;
let page;
let errors;
let clicks;

before(async () => {
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});
after(() => browser.close());
afterEach(async () => {
  await page.context().close();
  assert.deepEqual(errors, []);
});

/** The start page, from which clicks count. */
async function start() {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, timezoneId: "America/New_York", serviceWorkers: "block" });
  page = await context.newPage();
  page.setDefaultTimeout(20_000);
  [errors, clicks] = [[], 0];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(url);
  await card("freezer-north").waitFor();
}

/** A click on the way to an answer. */
async function click(locator) {
  clicks += 1;
  assert.ok(clicks <= CLICKS_MAX, `${clicks} clicks`);
  await locator.click();
}

const celsius = (value) => `${value.toFixed(2)} °C`;
const count = (value) => value.toLocaleString("en");
const card = (region) => page.locator(`[data-region="${region}"]`);
const link = (name, exact = true) => page.getByRole("link", { name, exact });
const view = (name) => page.getByRole("navigation", { name: "Views" }).getByRole("link", { name, exact: true });
const button = (name) => page.getByRole("button", { name, exact: true });
const heading = (name) => page.getByRole("heading", { name, exact: true }).waitFor();
/** The figure of this name in a list of them. */
const figure = (name) => page.locator("dt", { hasText: new RegExp(`^${name}$`) }).locator("xpath=../dd").first();
/** Waits until the figure has this text. */
const shows = (name, text) => figure(name).filter({ hasText: text }).waitFor();
const row = (text) => page.locator("tbody tr", { has: page.getByRole("cell", { name: text, exact: true }) });
const cells = async (of) => of.first().locator("td").allTextContents();

// First what is said of now: later, all sensors are silent.

test("What is it now, and which sensor is warmest?", async () => {
  await start();
  for (const { region, average_c, warmest_c, warmest, coldest_c, coldest } of truth.now) {
    const face = card(region);
    await face.locator(".average", { hasText: /°C/ }).waitFor();
    const shown = Number.parseFloat(await face.locator(".average").textContent());
    assert.ok(Math.abs(shown - average_c) <= 0.0051, `${region}: ${shown}, not ${average_c}`);
    const [above, below] = await face.locator(".extremes > span").allTextContents();
    assert.ok(warmest.some((device) => above.startsWith(`▲ ${celsius(warmest_c)} ${device} `)), `${region}: ${above}`);
    assert.ok(coldest.some((device) => below.startsWith(`▼ ${celsius(coldest_c)} ${device} `)), `${region}: ${below}`);
  }
});

test("Which sensor is silent?", async () => {
  await start();
  const alarm = page.locator(".alarm:not([hidden])");
  await alarm.waitFor();
  assert.match(await alarm.textContent(), new RegExp(`${truth.silent.length} devices silent:`));
  const named = await alarm.getByRole("link").allTextContents();
  assert.deepEqual(named.sort(), truth.silent.toSorted());
  await click(alarm.getByRole("link", { name: "t-07" }));
  await page.getByText(/^silent for 5 h/).waitFor();
});

test("Grafana?", async () => {
  await start();
  await click(view("Wall"));
  for (const { region, average_c } of truth.now) {
    const tile = page.locator(".tiles li", { has: page.getByText(region, { exact: true }) });
    await tile.waitFor();
    const shown = Number.parseFloat(await tile.locator(".number").textContent());
    assert.ok(Math.abs(shown - average_c) <= 0.051, `${region}: ${shown}, not ${average_c}`);
  }
});

test("Delete the typo region, rename the sensor, void the 85?", async () => {
  for (const { device_id, c, at } of truth.void) {
    await start();
    await click(view("Devices"));
    await click(link(device_id));
    // The answer: it is in sight, with what takes it back.
    const name = c > 0 ? "Maximum" : "Minimum";
    await shows(name, celsius(c));
    await figure(name).getByRole("button").click();
    await heading("Corrections");
    assert.equal(await page.getByLabel("Measured at").inputValue(), at);
    assert.equal(Number(await page.getByLabel("It is now (°C)").inputValue()), c);
    await page.getByLabel("Reason").first().fill("it measured nothing");
    await button("Correct the reading").click();
    await page.getByText("Done.", { exact: true }).waitFor();
    await page.context().close();
  }
  const { region, meant, readings } = truth.typo;
  for (const [what, old, name, said] of [
    ["Region", region, meant, `${count(readings)} readings of ${region} moved to ${meant}.`],
    ["Device", "esp32-a4cf12", "t-20", "esp32-a4cf12 is t-20 now, and still answers to its old name."],
  ]) {
    await start();
    await click(view("Corrections"));
    await click(page.getByText("Rename or merge a region or a device"));
    await page.getByLabel("What", { exact: true }).selectOption(what);
    await page.getByLabel("Name now").fill(old);
    await page.getByLabel("New name").fill(name);
    await page.getByLabel("Reason").last().fill("a wrong name");
    await button("Rename or merge").click();
    await page.getByText(said).waitFor();
    if (name !== "t-20") await page.context().close();
  }
});

test("Warmest yesterday?", async () => {
  const { max_c, min_c, count: readings } = truth.yesterday.find(({ region }) => region === "freezer-east");
  await start();
  await click(card("freezer-east").locator("a.face"));
  await click(button("Yesterday"));
  await shows("Readings", count(readings));
  await shows("Maximum", celsius(max_c));
  await shows("Minimum", celsius(min_c));
  // And of all rooms.
  await page.context().close();
  await start();
  await click(view("Compare"));
  await click(button("Yesterday"));
  await page.waitForURL(/range=yesterday/);
  for (const day of truth.yesterday) {
    await row(count(day.count)).filter({ hasText: day.region }).waitFor();
    const [, average, min, max] = await cells(row(day.region));
    assert.deepEqual([min, max], [celsius(day.min_c), celsius(day.max_c)], day.region);
    assert.ok(Math.abs(Number.parseFloat(average) - day.average_c) <= 0.0051, `${day.region}: ${average}`);
  }
});

test("For how long above -18?", async () => {
  const { minutes, extreme_c, extreme_device, readings, devices } = truth.excursion;
  await start();
  await click(card("freezer-north").locator("a.face"));
  await click(button("Yesterday"));
  await page.getByText(`1 excursion · outside for ${minutes} min in all.`).waitFor();
  const [, , length, extreme, of, sensors] = await cells(row(`${minutes} min`));
  assert.equal(length, `${minutes} min`);
  assert.ok(extreme.startsWith(`above ${celsius(extreme_c)} at `) && extreme.endsWith(extreme_device), extreme);
  assert.deepEqual([of, sensors], [count(readings), count(devices)]);
});

test("Last month, raw, for the inspector?", async () => {
  await start();
  await click(card("freezer-north").locator("a.face"));
  const download = page.waitForEvent("download");
  await click(button("Download readings, 30 days (CSV)"));
  const file = await download;
  assert.equal(file.suggestedFilename(), "freezer-north-readings.csv");
  const text = Buffer.concat(await (await file.createReadStream()).toArray()).toString();
  const [head, ...lines] = text.trimEnd().split(/\r?\n/);
  assert.equal(head, "timestamp,device_id,region,temperature_c");
  assert.equal(lines.length, truth.raw);
  assert.ok(lines.every((line) => line.includes(",freezer-north,")));
});

test("Which of my boards is rejected, and why?", async () => {
  const { device_id, readings } = truth.rejected;
  await start();
  await click(view("Rejections"));
  const by = page.getByRole("table", { name: "By device, the most first" }).locator("tbody tr");
  await by.first().waitFor();
  assert.equal(await by.count(), 1);
  const [device, region, rejected] = await cells(by);
  assert.deepEqual([device, region, rejected], [device_id, "loading-bay", count(readings)]);
  await page.getByText("check the device's clock").first().waitFor();
});

/** The bytes that a figure of the status stands for. */
async function bytes(name) {
  const text = await figure(name).textContent();
  const [, number, unit] = text.match(/^([\d.,]+) (bytes|kB|MB|GB)$/) ?? assert.fail(`${name}: ${text}`);
  return Number(number.replace(/,/g, "")) * { bytes: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit];
}

test("Disk, and wear of the card, in a year?", async () => {
  await start();
  await click(view("Status"));
  await shows("Single readings", count(truth.standing));
  // 40 sensors a minute: at least five bytes a reading stay, and more are written.
  const day = 40 * truth.minutes;
  const growth = await bytes("Growth a day");
  assert.ok(growth > 5 * day && growth < 100 * day, `${growth} bytes a day`);
  const year = await bytes("In a year, at this rate");
  assert.ok(year > 100 * growth && year < 500 * growth, `${year} bytes in a year`);
  const written = await bytes("Written to the disk a day");
  assert.ok(written > growth, `${written} bytes written a day`);
});

test("Back up, every day?", async () => {
  await start();
  await click(view("Status"));
  await heading("Backups");
  await page.getByText("isotherm-backup copies the regions database and the journal while the service runs").waitFor();
  const { database_bytes } = await (await fetch(`${url}/v1/status`)).json();
  const shown = await bytes("The regions database");
  assert.ok(Math.abs(shown - database_bytes) < 0.1 * database_bytes, `${shown}, not ${database_bytes}`);
});

test("Who may write?", async () => {
  await start();
  await click(view("Status"));
  await page.getByText("Access control is off: anyone who reaches this address may read and write.").waitFor();
  // It is true: nothing was asked of the one who writes here.
  const answer = await fetch(`${url}/v1/readings`, {
    method: "POST", headers: { "content-type": "application/json", prefer: "wait" }, body: "[]",
  });
  assert.ok(answer.status !== 401 && answer.status !== 403, `${answer.status}`);
});

// Last, since it adds a reading.
test("A call when a room is too warm, or a sensor silent?", async () => {
  await start();
  assert.doesNotMatch(await page.locator("main").innerText(), /Outside limits/);
  await page.locator(".alarm", { hasText: /silent: / }).getByRole("link", { name: "t-07" }).waitFor();
  const reading = { device_id: "t-01", region: "freezer-north", temperature_c: -9.5, timestamp: Date.now() };
  const answer = await fetch(`${url}/v1/readings`, {
    method: "POST", headers: { "content-type": "application/json", prefer: "wait" }, body: JSON.stringify(reading),
  });
  assert.ok(answer.ok, `${answer.status}`);
  await page.locator(".alarm:not([hidden])").getByText(/^Outside limits: freezer-north\./).waitFor();
  await card("freezer-north").getByText("above the limit of -18 °C: -9.50 °C").waitFor();
});
