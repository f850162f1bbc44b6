// The page where access control is on, over made-up answers (mock.mjs): who logs in and
// out, what a session shows, and what a change asks for. Screenshots go to
// ISOTHERM_SCREENSHOTS.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { checkAccessible } from "./accessible.mjs";
import { serve } from "./mock.mjs";
import { TOKENS, tokenOf } from "./mock/access.mjs";

const { ISOTHERM_SCREENSHOTS: shots } = process.env;
const DESKTOP = { width: 1200, height: 900 };
const PHONE = { width: 390, height: 800 };
/** What the browser itself says of an answer that is a refusal. */
const REFUSED = /status of (401|403)|ERR_|EventSource/;

let browser;
let mock;
let page;
let errors;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.ISOTHERM_CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser.close());

beforeEach(async () => {
  errors = [];
  mock = await serve({ tokens: TOKENS });
  page = await opened({});
});
afterEach(async () => {
  await page.context().close();
  await mock.close();
  assert.deepEqual(errors, []);
});

async function opened(options) {
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: "light", serviceWorkers: "block", ...options });
  return watched(await context.newPage());
}

function watched(made) {
  made.on("pageerror", (error) => errors.push(error.message));
  made.on("console", (message) => {
    if (message.type() === "error" && !REFUSED.test(message.text())) errors.push(message.text());
  });
  return made;
}

const state = (name) => page.waitForSelector(`#state[data-state="${name}"]`, { state: "attached", timeout: 20_000 });
const shot = (name) => page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
const card = (name) => page.locator(`[data-region="${name}"]`);
const field = () => page.getByLabel("Token", { exact: true });
const links = () => page.locator("#views a").allTextContents();

async function logIn(who) {
  await state("out");
  await field().fill(tokenOf(who));
  await page.keyboard.press("Enter");
  await page.locator("#session", { hasText: who }).waitFor();
}

/** All that this browser keeps for the page, as text. */
function keptText() {
  return page.evaluate(async () => {
    const parts = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), location.href, JSON.stringify(history.state)];
    for (const name of await caches.keys()) {
      const store = await caches.open(name);
      for (const request of await store.keys()) parts.push(request.url, await (await store.match(request)).text());
    }
    return parts.join("\n");
  });
}

test("without a session there is the form, and a wrong token is said in the node's words", async () => {
  await page.goto(mock.url);
  await state("out");
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  assert.equal(await page.locator(":focus").getAttribute("type"), "password");
  assert.equal(await field().getAttribute("autocomplete"), "current-password");
  assert.deepEqual(await links(), []);
  assert.equal(await page.getByRole("button", { name: "Log out" }).count(), 0);
  for (const [text, words] of [
    ["isotherm_nobody_x", "the token is not valid here"], [tokenOf("door"), "the token allows no reading"], ["two words", "This is no token"],
  ]) {
    await field().fill(text);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText(words).waitFor();
    assert.ok(await field().evaluate((node) => node === document.activeElement), "it can be typed over");
  }
  // A form that was only opened asks for no figures.
  assert.deepEqual(mock.asked.filter((line) => /v1\/(regions|events|status)/.test(line)), []);
  await logIn("operator");
  await card("freezer-1").waitFor();
  await state("live");
  assert.equal(await page.evaluate("document.cookie"), "");
  assert.ok(!(await keptText()).includes(tokenOf("operator")), "the token is kept nowhere");
  assert.ok(mock.asked.every((line) => !line.includes("isotherm_")), "the token is in no address");
  await page.reload();
  await card("freezer-1").waitFor();
  await page.locator("#session", { hasText: "operator" }).waitFor();
});

test("a session that ends leads to the form, and the address is where one goes on", async () => {
  await page.goto(`${mock.url}/#/region/freezer-1?range=7d`);
  await logIn("reader");
  await page.getByText("windows of 1h").waitFor();
  mock.sessions.clear();
  mock.tell();
  await page.getByText("The session has ended.").waitFor();
  assert.equal(await page.getByText("freezer-1").count(), 0, "nothing is left of it");
  assert.equal(new URL(page.url()).hash, "#/region/freezer-1?range=7d");
  assert.ok(await field().evaluate((node) => node === document.activeElement));
  await logIn("reader");
  await page.getByRole("heading", { name: "freezer-1" }).waitFor();
  await page.getByText("windows of 1h").waitFor();
});

test("a session ends by the clock, too, without a word of the node", async () => {
  mock.sessionMs = 3_000;
  await page.goto(`${mock.url}/#/status`);
  await logIn("reader");
  await page.getByText("The session has ended.").waitFor({ timeout: 7_000 });
});

test("logging out takes away all that this browser kept", async () => {
  await page.context().close();
  page = await opened({ serviceWorkers: "allow" });
  await page.goto(`${mock.url}/#/region/freezer-1`);
  await logIn("reader");
  await page.getByText(/on average of [\d,]+ readings/).waitFor();
  await page.getByRole("link", { name: "Isotherm" }).click();
  await card("freezer-1").waitFor();
  await page.waitForFunction(async () => (await (await caches.open("isotherm-figures")).keys()).length > 1);
  await page.evaluate("navigator.serviceWorker.ready.then(() => null)");
  const other = watched(await page.context().newPage());
  await other.goto(`${mock.url}/#/devices`);
  await other.getByText("40 devices").waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByText("You are logged out. The page").waitFor();
  assert.equal(mock.sessions.size, 0);
  await other.getByText("You are logged out. The page").waitFor();
  assert.equal(await other.getByText("freezer").count(), 0, "nor in another tab");
  await other.close();
  assert.ok(!(await keptText()).includes("freezer"), "no name is kept");
  await page.goBack();
  await page.waitForURL(/freezer-1/);
  await state("out");
  assert.equal(await page.getByText("freezer").count(), 0);
  // Nor is anything shown without the node.
  mock.fall();
  await page.goto("about:blank");
  await page.goto(`${mock.url}/#/region/freezer-1`);
  await state("error");
  await page.getByRole("alert").getByText("No answer: the service can't be reached. Trying again.").waitFor();
  assert.equal(await page.getByText(/\d °C/).count(), 0);
});

test("what a former page showed is not what the next one sees without the node", async () => {
  await page.context().close();
  page = await opened({ serviceWorkers: "allow" });
  await page.goto(mock.url);
  await logIn("reader");
  await card("freezer-1").waitFor();
  await page.waitForFunction(async () => (await (await caches.open("isotherm-figures")).keys()).length > 0);
  // It ended while the page was closed.
  await page.goto("about:blank");
  mock.sessions.clear();
  await page.goto(mock.url);
  await page.getByText("The session has ended.").waitFor();
  assert.ok(!(await keptText()).includes("freezer"));
});

test("a log-out that the node does not hear is said, and sent again", async () => {
  await page.goto(mock.url);
  await logIn("reader");
  await card("freezer-1").waitFor();
  mock.fall();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByText("the session may not have ended there").waitFor();
  assert.equal(await card("freezer-1").count(), 0);
  mock.isDown = false;
  await page.getByText("You are logged out. The page").waitFor({ timeout: 20_000 });
  assert.equal(mock.sessions.size, 0);
});

test("a change asks for a token that allows it, which is in memory alone", async () => {
  await page.goto(`${mock.url}/#/region/dock`);
  await logIn("reader");
  await page.getByText("Change the limits").click();
  await page.getByText("needs a token with the scope admin").waitFor();
  await page.getByLabel("Highest (°C)").fill("12");
  const set = page.getByRole("button", { name: "Set the limits" });
  const dialog = page.getByRole("dialog", { name: "Token with the scope admin" });
  await set.click();
  await dialog.waitFor();
  assert.ok(await dialog.getByLabel("Token").evaluate((node) => node === document.activeElement));
  await dialog.getByLabel("Token").fill(tokenOf("reader"));
  await dialog.getByRole("button", { name: "Send" }).click();
  await dialog.getByRole("alert").getByText("it needs the scope admin").waitFor();
  await checkAccessible(page, "the question for a token");
  await shot("login-question");
  await page.keyboard.press("Escape");
  await page.getByRole("alert").getByText("Nothing was sent").waitFor();
  assert.deepEqual(mock.sent, []);
  await set.click();
  await dialog.getByLabel("Token").fill(tokenOf("operator"));
  await page.keyboard.press("Enter");
  await page.getByText("The limits are set.").waitFor();
  assert.equal(await dialog.count(), 0);
  assert.ok(!(await keptText()).includes(tokenOf("operator")), "the token is kept nowhere");
  await page.getByRole("button", { name: "Remove the limits" }).click();
  await page.getByText("No limits are set.").waitFor();
  // It still reads as who logged in; and a reload forgets the token.
  await page.locator("#session", { hasText: "reader" }).waitFor();
  await page.reload();
  await page.getByText("Change the limits").click();
  await page.getByLabel("Highest (°C)").fill("12");
  await set.click();
  await dialog.waitFor();
});

test("a token that is withdrawn meanwhile is asked for again", async () => {
  await page.goto(`${mock.url}/#/device/dock-s1`);
  await logIn("operator");
  const set = page.getByRole("button", { name: "Set the interval" });
  await page.getByText("Change how often it is expected").click();
  await page.getByLabel("Expected interval").fill("15m");
  // The one that logged in is there already.
  await set.click();
  await page.getByText("The interval is set.").waitFor();
  mock.tokens = Object.fromEntries(Object.entries(TOKENS).filter(([, { who }]) => who !== "operator"));
  await set.click();
  await page.getByRole("alert").getByText("the token is not valid here").waitFor();
  await set.click();
  await page.getByRole("dialog").waitFor();
  await page.locator("#session", { hasText: "operator" }).waitFor();
});

test("what a session does not read is not offered, or says which scope it needs", async () => {
  await page.goto(mock.url);
  await logIn("keeper");
  await card("freezer-1").waitFor();
  await page.getByText("1 of 1 region").waitFor();
  const offered = await links();
  assert.ok(offered.includes("Devices") && !offered.includes("Quarantine") && !offered.includes("Corrections"), `${offered}`);
  assert.equal(await page.getByRole("link", { name: "Metrics" }).count(), 0);
  for (const [hash, scope] of [["#/quarantine", "read:*"], ["#/corrections", "read:*"], ["#/region/dock", "read:dock"]]) {
    await page.goto(`${mock.url}/${hash}`);
    await page.getByText(`it needs the scope ${scope}.`).waitFor();
    await page.getByText("Log in with a token that has it").waitFor();
    assert.equal(await page.getByText("Trying again").count(), 0);
  }
  await checkAccessible(page, "a refusal");
  await shot("login-refused");
  await page.goto(`${mock.url}/#/device/freezer-1-s1?range=1h`);
  await page.getByText("The readings as a table").click();
  await page.getByRole("cell", { name: "°C" }).first().waitFor();
  assert.equal(await page.getByRole("link", { name: "Take back or correct" }).count(), 0);
  // The next one sees what is theirs.
  await page.getByRole("button", { name: "Log out" }).click();
  await logIn("reader");
  await card("dock").waitFor();
  assert.ok((await links()).includes("Quarantine"));
  await page.getByRole("link", { name: "Metrics" }).waitFor();
});

test("where access control is off there is no form, and the status says so", async () => {
  mock.tokens = null;
  await page.goto(`${mock.url}/#/status`);
  await state("live");
  await page.getByText("Access control is off: anyone who reaches this address may read and write.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Log out" }).count(), 0);
  await page.goto(`${mock.url}/#/region/dock`);
  await page.getByText("Change the limits").click();
  assert.equal(await page.getByText("scope admin").count(), 0);
  await page.getByLabel("Highest (°C)").fill("12");
  await page.getByRole("button", { name: "Set the limits" }).click();
  await page.getByText("The limits are set.").waitFor();
  await page.goto(`${mock.url}/#/status`);
  await shot("login-off");
  // Switched on, while the page is open.
  mock.tokens = TOKENS;
  await state("out");
  await logIn("reader");
  await page.locator("dd", { hasText: "reader" }).waitFor();
  assert.equal(await page.getByText("anyone who reaches").filter({ visible: true }).count(), 0);
});

for (const [viewport, size] of [[DESKTOP, "desk"], [PHONE, "phone"]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`everybody can log in and out: ${size}, ${colorScheme}`, async () => {
      await page.context().close();
      page = await opened({ viewport, colorScheme });
      const look = async (name) => {
        await checkAccessible(page, `${name} ${size} ${colorScheme}`);
        await shot(`login-${name}-${size}-${colorScheme}`);
      };
      await page.goto(mock.url);
      await state("out");
      await look("form");
      await field().fill("isotherm_nobody_x");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor();
      await look("wrong");
      await logIn("reader");
      await card("freezer-1").locator(".average", { hasText: "°C" }).waitFor();
      await look("in");
      await page.goto(`${mock.url}/#/region/dock`);
      await page.getByText("Change the limits").click();
      await page.getByRole("button", { name: "Set the limits" }).click();
      await page.getByRole("dialog").waitFor();
      await look("dialog");
      await page.keyboard.press("Escape");
      await page.goto(`${mock.url}/#/status`);
      await page.locator("dd", { hasText: "read:*" }).waitFor();
      await look("status");
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByText("You are logged out. The page").waitFor();
      await look("out");
    });
  }
}
