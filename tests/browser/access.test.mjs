// The page where access control is on, over a service. Started by tests/it/under_load/in_a_browser.rs:
// ISOTHERM_URL is a service with tokens, ISOTHERM_TOKENS are those tokens by their ids.
// Screenshots go to ISOTHERM_SCREENSHOTS.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { checkAccessible } from "./accessible.mjs";

const { ISOTHERM_URL: url, ISOTHERM_SCREENSHOTS: shots } = process.env;
const tokens = JSON.parse(process.env.ISOTHERM_TOKENS);
const DESKTOP = { width: 1200, height: 900 };
const PHONE = { width: 390, height: 800 };
/** What the browser itself says of an answer that is a refusal, and of none. */
const REFUSED = /status of (401|403)|ERR_INTERNET_DISCONNECTED/;

let browser;
let page;
let errors;
let elsewhere;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.ISOTHERM_CHROMIUM, args: ["--no-sandbox"] });
  await measure("hall", 20);
  await measure("yard", 4);
});
after(() => browser.close());

beforeEach(async () => {
  [errors, elsewhere] = [[], []];
  page = await opened({});
});
afterEach(async () => {
  await page.context().close();
  assert.deepEqual([errors, elsewhere], [[], []]);
});

async function opened(options) {
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: "light", ...options });
  const made = await context.newPage();
  made.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.origin !== url && asked.protocol !== "blob:") elsewhere.push(asked.href);
  });
  made.on("pageerror", (error) => errors.push(error.message));
  made.on("console", (message) => {
    if (message.type() === "error" && !REFUSED.test(message.text())) errors.push(message.text());
  });
  return made;
}

/** Posts a reading of now, as a device does. */
async function measure(region, temperature_c) {
  const answer = await fetch(`${url}/v1/readings`, {
    method: "POST",
    headers: { authorization: `Bearer ${tokens.devices}`, "content-type": "application/json", prefer: "wait" },
    body: JSON.stringify([{ device_id: `${region}-1`, region, temperature_c, timestamp: Date.now() }]),
  });
  assert.ok(answer.ok, `${answer.status}`);
}

const state = (name) => page.waitForSelector(`#state[data-state="${name}"]`, { state: "attached", timeout: 20_000 });
const shot = (name) => page.screenshot({ path: join(shots, `access-${name}.png`), fullPage: true });
const card = (name) => page.locator(`[data-region="${name}"]`);
const field = () => page.getByLabel("Token", { exact: true });

async function logIn(id) {
  await state("out");
  await field().fill(tokens[id]);
  await page.getByRole("button", { name: "Log in" }).click();
  await field().waitFor({ state: "detached" });
}

test("a token opens the page, a wrong one does not, and what is new arrives by the session", async () => {
  const streams = [];
  page.on("response", (answer) => {
    if (new URL(answer.url()).pathname === "/v1/events") streams.push(answer.status());
  });
  await page.goto(url);
  await state("out");
  assert.ok(await field().evaluate((node) => node === document.activeElement));
  await field().fill(`${tokens.reader.slice(0, -1)}${tokens.reader.endsWith("x") ? "y" : "x"}`);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").getByText("The token is not valid here").waitFor();
  await checkAccessible(page, "a wrong token");
  assert.deepEqual(await page.context().cookies(), []);
  await logIn("reader");
  await card("hall").waitFor();
  await card("yard").waitFor();
  await state("live");
  await page.locator("#session", { hasText: "reader" }).waitFor();
  const [cookie, ...others] = await page.context().cookies();
  assert.deepEqual(others, []);
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], ["isotherm", true, "Strict"]);
  assert.equal(await page.evaluate("document.cookie"), "");
  // Twice: the first event may be that of the connection.
  for (const [value, text] of [[21, "21.00 °C"], [22, "22.00 °C"]]) {
    await measure("hall", value);
    await card("hall").locator(".average", { hasText: text }).waitFor({ timeout: 5_000 });
  }
  assert.deepEqual(streams, [200], "one stream, and it was let in");
  await page.reload();
  await card("hall").waitFor();
  await page.locator("#session", { hasText: "reader" }).waitFor();
});

test("a session only reads, and a change takes a token", async () => {
  await page.goto(`${url}/#/region/hall`);
  await logIn("reader");
  await page.getByText("Change the limits").click();
  const limits = { method: "PUT", body: JSON.stringify({ high_c: 1 }), headers: { "content-type": "application/json" } };
  const byCookie = await page.evaluate(async (sent) => (await fetch("v1/regions/hall/limits", sent)).status, limits);
  assert.equal(byCookie, 403);
  await page.getByLabel("Highest (°C)").fill("30");
  await page.getByRole("button", { name: "Set the limits" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Token").fill(tokens.reader);
  await dialog.getByRole("button", { name: "Send" }).click();
  await dialog.getByRole("alert").getByText("it needs the scope admin").waitFor();
  await dialog.getByLabel("Token").fill(tokens.operator);
  await dialog.getByRole("button", { name: "Send" }).click();
  await page.getByText("The limits are set.").waitFor();
  const kept = await page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href])");
  assert.ok(!kept.includes(tokens.operator) && !kept.includes(tokens.reader), kept);
  await page.reload();
  await page.getByText("Change the limits").click();
  await page.getByRole("button", { name: "Remove the limits" }).click();
  await dialog.waitFor();
});

test("a token for one region shows that region alone", async () => {
  await page.goto(url);
  await logIn("hall");
  await card("hall").waitFor();
  await page.getByText("1 of 1 region").waitFor();
  assert.equal(await page.getByText("yard").count(), 0);
  const offered = await page.locator("#views a").allTextContents();
  assert.ok(offered.includes("Devices") && !offered.includes("Quarantine") && !offered.includes("Corrections"), `${offered}`);
  await page.goto(`${url}/#/devices`);
  await page.getByText("1 of 1 device").waitFor();
  for (const [hash, scope] of [["#/region/yard", "read:yard"], ["#/region/nowhere", "read:nowhere"], ["#/quarantine", "read:*"]]) {
    await page.goto(`${url}/${hash}`);
    await page.getByText(`it needs the scope ${scope}.`).waitFor();
    await page.getByText("Log in with a token that has it").waitFor();
  }
});

test("whoever logs out leaves nothing behind", async () => {
  await page.goto(`${url}/#/region/hall`);
  await logIn("reader");
  await page.getByText(/on average of \d+ reading/).waitFor();
  await page.getByRole("link", { name: "Isotherm" }).click();
  await card("hall").waitFor();
  await page.waitForFunction(async () => (await (await caches.open("isotherm-figures")).keys()).length > 1);
  await page.evaluate("navigator.serviceWorker.ready.then(() => null)");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByText("You are logged out.").waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  assert.ok(!(await page.evaluate("caches.keys()")).includes("isotherm-figures"));
  await page.goBack();
  await page.waitForURL(/hall/);
  await state("out");
  assert.equal(await page.getByText("hall", { exact: true }).and(page.locator("h1, .name")).count(), 0);
  assert.equal(await page.getByText(/\d °C/).count(), 0);
  assert.equal(await page.evaluate("fetch('v1/regions').then(({ status }) => status)"), 401);
  // Without the network, too.
  await page.context().setOffline(true);
  await page.reload();
  await state("error");
  assert.equal(await page.getByText(/\d °C/).count(), 0);
  await page.context().setOffline(false);
});

test("a session that ends leads to the form, and the address is where one goes on", async () => {
  await page.goto(`${url}/#/region/yard?range=7d`);
  await logIn("reader");
  await page.getByRole("heading", { name: "yard" }).waitFor();
  await state("live");
  await page.context().clearCookies();
  await measure("yard", 5);
  await page.getByText("The session has ended.").waitFor({ timeout: 20_000 });
  assert.equal(await page.getByRole("heading", { name: "yard" }).count(), 0);
  await logIn("reader");
  await page.getByRole("heading", { name: "yard" }).waitFor();
  assert.equal(new URL(page.url()).hash, "#/region/yard?range=7d");
});

test("the report of excursions has the form, too", async () => {
  const day = new Date().toISOString().slice(0, 10);
  const hash = `#region=hall&from=${day}&to=${day}&zone=UTC`;
  const limited = await fetch(`${url}/v1/regions/hall/limits`, {
    method: "PUT", body: JSON.stringify({ low_c: 2, high_c: 30 }),
    headers: { authorization: `Bearer ${tokens.operator}`, "content-type": "application/json" },
  });
  assert.equal(limited.status, 200);
  await page.goto(`${url}/assets/report.html${hash}`);
  await state("out");
  assert.equal(await page.getByRole("button", { name: "Print" }).count(), 0);
  await field().fill(tokens.hall);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Temperature excursions: hall" }).waitFor();
  assert.equal(new URL(page.url()).hash, hash);
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("The session has ended.").waitFor();
  assert.equal(await page.getByRole("heading", { name: "hall" }).count(), 0);
  assert.equal(await page.locator("option", { hasText: "hall" }).count(), 0);
  await checkAccessible(page, "the report's form");
});


test("everybody can log in: light and dark, on a desk and on a phone", async () => {
  for (const [viewport, size] of [[DESKTOP, "desk"], [PHONE, "phone"]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.context().close();
      page = await opened({ viewport, colorScheme });
      await page.goto(url);
      await state("out");
      await checkAccessible(page, `the form, ${size} ${colorScheme}`);
      await shot(`form-${size}-${colorScheme}`);
      await logIn("reader");
      await card("hall").locator(".average", { hasText: "°C" }).waitFor();
      await checkAccessible(page, `the regions, ${size} ${colorScheme}`);
      await shot(`regions-${size}-${colorScheme}`);
    }
  }
});
