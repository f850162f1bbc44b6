// What the page says of sources, and how devices are adopted there. Over made-up answers
// (mock.mjs). Screenshots go to ISOTHERM_SCREENSHOTS.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { checkAccessible } from "./accessible.mjs";
import { serve } from "./mock.mjs";
import { TOKENS, tokenOf } from "./mock/access.mjs";
import { someSources, source, stranger } from "./mock/sources.mjs";

const { ISOTHERM_SCREENSHOTS: shots } = process.env;
const DESKTOP = { width: 1200, height: 900 };
const PHONE = { width: 360, height: 780 };

let browser;
let mock;
let page;
let errors;
/** Statuses of answers that a test brings about: the browser reports each on its console. */
let expected;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.ISOTHERM_CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser.close());

beforeEach(async () => {
  [errors, expected] = [[], []];
  mock = await serve();
  mock.isFrozen = true;
  mock.sources = someSources();
  page = await opened({});
});
afterEach(async () => {
  await page.context().close();
  await mock.close();
  assert.deepEqual(errors, []);
});

async function opened(options) {
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: "light", serviceWorkers: "block", ...options });
  const made = await context.newPage();
  made.on("pageerror", (error) => errors.push(error.message));
  made.on("dialog", (dialog) => errors.push(`a script ran: ${dialog.message()}`));
  made.on("console", (message) => {
    const isExpected = expected.some((status) => message.text().includes(`status of ${status}`));
    if (message.type() === "error" && !isExpected) errors.push(message.text());
  });
  return made;
}

const state = (name) => page.waitForSelector(`#state[data-state="${name}"]`, { state: "attached", timeout: 40_000 });
const shot = (name) => page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
const part = (name) => page.locator("details.source", { has: page.getByRole("heading", { name, exact: true }) });
const adoption = (id) => page.getByRole("form", { name: `Adopt ${id}`, exact: true });
const asked = (method, below) => mock.asked.filter((line) => line === `${method} /v1/sources/${below}`).length;

async function open(hash) {
  await page.goto("about:blank");
  await page.goto(`${mock.url}/${hash}`);
  await state("live");
}

async function logIn(who, hash) {
  expected = [401, 403];
  mock.tokens = TOKENS;
  await page.goto(`${mock.url}/${hash}`);
  await page.getByLabel("Token", { exact: true }).fill(tokenOf(who));
  await page.keyboard.press("Enter");
  await state("live");
}

test("each source has a row: what was counted of it, and what was not, and why", async () => {
  await open("#/");
  await page.getByRole("link", { name: "Sources", exact: true }).click();
  await page.getByText("3 sources · 61 refused · 3 unknown devices").waitFor();
  const rows = await page.getByRole("region", { name: "Sources" }).locator("tbody tr").evaluateAll((all) =>
    all.map((row) => [...row.children].map(({ textContent }) => textContent)));
  const times = rows.map((row) => row.pop());
  assert.deepEqual(rows, [
    ["cellar", "48,211", "48,211", "96,420", "31", "0", "–", "0"],
    ["influx", "0", "0", "0", "0", "0", "–", "0"],
    ["shelly", "1,204", "1,204", "0", "7", "61", "unknown_device 57, not_a_number 2, unknown_unit 1, unreadable 1", "3"],
  ]);
  assert.match(times[0], /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
  assert.equal(times[1], "–");
  await page.locator(".hints", { hasText: "dock-s1 in dock: its mean is 51.8" }).waitFor();
  await page.locator(".hints", { hasText: "dock-s2: its readings have come 7:00 hours late" }).waitFor();
  assert.equal(asked("GET", "shelly/unknown") + asked("GET", "shelly/refused"), 0, "closed parts ask for nothing");
});

test("counts that are not known are a dash, and no source is said in words", async () => {
  mock.sources = [source("cellar", { kept: null, time_assumed: null, mappings: null }), source("constructor"), source("__proto__")];
  await open("#/sources?source=cellar");
  await part("cellar").getByText("not known while the regions database is away").waitFor();
  const cells = await page.getByRole("region", { name: "Sources" }).locator("tbody td").allTextContents();
  assert.deepEqual(cells.slice(1, 4), ["–", "–", "0"]);
  await part("__proto__").waitFor();
  expected = [404];
  mock.sources = [];
  mock.tell();
  await page.getByText("No source is set up").waitFor();
  assert.equal(await page.locator("details.source").count(), 0);
  assert.equal(await page.locator(".hints").isVisible(), false);
});

test("a source has its mappings, and its refused messages with what failed where, as text", async () => {
  await open("#/sources");
  await page.getByRole("region", { name: "Sources" }).getByRole("link", { name: "shelly" }).click();
  const shelly = part("shelly");
  const items = shelly.locator("li.refused");
  await items.nth(2).waitFor();
  assert.match(await items.nth(0).locator("p").first().textContent(), /: not_a_number at \/tC$/);
  await items.nth(0).getByText("is no number; the device sent its template as it is.").waitFor();
  assert.equal(await items.nth(0).locator("pre").textContent(), "?tC=${ev.tC}&id=shellyht-0D0E0F");
  assert.match(await items.nth(1).locator("p").first().textContent(), /: unreadable of the whole$/);
  assert.equal(await items.nth(1).locator("pre").textContent(), "<script>alert(1)</script>");
  const mappings = await shelly.getByRole("region", { name: "Mappings of shelly" }).locator("tbody tr").evaluateAll((all) =>
    all.map((row) => [...row.children].slice(0, 4).map(({ textContent }) => textContent)));
  assert.deepEqual(mappings, [["09aa41d7733be0f209aa41d7733be0f2", "before", "1,100", "1,100"], ["5f0e7c2ab1d94c365f0e7c2ab1d94c36", "in use", "104", "104"]]);
  // A body that is read stays where it is when another one comes.
  await items.nth(2).locator("pre").evaluate((node) => { node.focus(); node.scrollTop = 30; });
  mock.sources[2].bodies.unshift({ at: new Date().toISOString(), reason: "unknown_unit", pointer: "/u", detail: "new", query: "u=R", body: "R" });
  mock.tell();
  await items.nth(3).waitFor();
  assert.deepEqual(await items.nth(3).locator("pre").evaluate((node) => [node === document.activeElement, node.scrollTop]), [true, 30]);
  assert.equal(await items.nth(0).locator("pre").textContent(), "?u=R\n\nR");
});

test("an unknown device is adopted into a region, and its row goes", async () => {
  await open("#/sources?source=shelly");
  const form = adoption("Temperatur Wohnung/süd");
  await form.waitFor();
  const item = part("shelly").locator("li.unknown", { has: form });
  assert.match(await item.textContent(), /^Temperatur Wohnung\/süd -18\.25 °C at \d{4}-.*, 15 readings refused/);
  assert.equal(await form.getByLabel("As device").inputValue(), "Temperatur-Wohnung-s-d");
  assert.equal(await adoption("<b>x</b>").getByLabel("As device").inputValue(), "-b-x--b-");
  const suggested = await form.getByLabel("Into region").evaluate((input) => [...input.list.options].map(({ value }) => value));
  assert.ok(suggested.includes("dock") && suggested.includes("freezer-1"), `${suggested}`);
  // What is refused is said, and nothing is lost of what was typed.
  expected = [400];
  await form.getByLabel("Into region").fill("the attic");
  await page.keyboard.press("Enter");
  await form.getByRole("alert").getByText("region: 1 to 64 of A-Z").waitFor();
  assert.equal(await form.getByLabel("Into region").inputValue(), "the attic");
  await form.getByLabel("Into region").fill("attic");
  await form.getByRole("button", { name: "Adopt Temperatur Wohnung/süd" }).click();
  await page.getByText("Temperatur Wohnung/süd is the device Temperatur-Wohnung-s-d in attic now.").waitFor();
  assert.deepEqual(mock.sent.at(-1), {
    method: "POST", path: "/v1/sources/shelly/devices", body: { id: "Temperatur Wohnung/süd", device: "Temperatur-Wohnung-s-d", region: "attic" },
  });
  assert.equal(await form.count(), 0);
  assert.equal(await page.locator(":focus").textContent(), "Temperatur Wohnung/süd is the device Temperatur-Wohnung-s-d in attic now.");
  await page.getByText("3 sources · 61 refused · 2 unknown devices").waitFor();
  const then = await adoption("<b>x</b>").getByLabel("Into region").evaluate((input) => [...input.list.options].map(({ value }) => value));
  assert.ok(then.includes("attic"), "the region is known from now on");
});

test("an answer from before an adoption brings no row back", async () => {
  await open("#/sources?source=shelly");
  const form = adoption("shellyht-0A0B0C");
  await form.getByLabel("Into region").fill("dock");
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  const isAsked = new Promise((resolve) => {
    page.route("**/v1/sources/shelly/unknown", async (route) => {
      const response = await route.fetch();
      resolve();
      await released;
      await route.fulfill({ response });
    }, { times: 1 });
  });
  mock.tell();
  await isAsked;
  await form.getByRole("button", { name: "Adopt shellyht-0A0B0C" }).click();
  await page.getByText("3 sources · 61 refused · 2 unknown devices").waitFor();
  const came = page.waitForResponse((response) => response.url().endsWith("/unknown"));
  release();
  await (await came).finished();
  // The answer about all sources is as old.
  await page.getByText("3 sources · 61 refused · 3 unknown devices").waitFor();
  assert.equal(await form.count(), 0);
});

test("a device that is typed for stays where it is, whatever comes", async () => {
  await open("#/sources?source=shelly");
  const input = adoption("<b>x</b>").getByLabel("Into region");
  await input.fill("do");
  mock.sources[2].unknown.reverse();
  mock.sources[2].unknown.unshift(stranger("new one", 3, 1, 1));
  mock.sources[2].unknown.find(({ id }) => id === "<b>x</b>").readings = 2;
  mock.tell();
  await page.getByText("2 readings refused").waitFor();
  assert.ok(await input.evaluate((node) => node === document.activeElement));
  assert.equal(await input.inputValue(), "do");
  const ids = await part("shelly").locator("li.unknown > strong").allTextContents();
  assert.deepEqual(ids, ["shellyht-0A0B0C", "Temperatur Wohnung/süd", "<b>x</b>", "new one"]);
});

test("ids that give one name are no device by themselves, and of many some are shown", async () => {
  const many = Array.from({ length: 25 }, (_, n) => stranger(`id ${n}`, n, n, 1));
  mock.sources = [source("attic", { unknown: [stranger("a/b", 1, 1, 1), stranger("a b", 2, 1, 1), stranger("Nexus.*", 2, 1, 1), ...many] })];
  await open("#/sources?source=attic");
  for (const id of ["a/b", "a b"]) {
    await adoption(id).getByText("Another id gives the same name. Two ids with one name are one device.").waitFor();
    assert.equal(await adoption(id).getByLabel("As device").inputValue(), "");
  }
  await adoption("Nexus.*").getByText("The * in the id stands for any text").waitFor();
  const rows = part("attic").locator("li.unknown");
  assert.equal(await rows.count(), 10);
  await page.getByRole("button", { name: "More devices (18)" }).click();
  assert.equal(await rows.count(), 20);
  await page.getByRole("button", { name: "More devices (8)" }).click();
  assert.equal(await rows.count(), 28);
  assert.equal(await page.getByRole("button", { name: /More devices/ }).count(), 0);
});

test("a message is tried, and what is read of it is said", async () => {
  await open("#/sources?source=shelly");
  const shelly = part("shelly");
  await shelly.getByRole("button", { name: "Try this message" }).first().click();
  const form = shelly.locator("form", { has: page.getByLabel("Body", { exact: true }) });
  assert.equal(await form.getByLabel("Body", { exact: true }).inputValue(), "");
  assert.equal(await form.getByLabel("Query").inputValue(), "tC=${ev.tC}&id=shellyht-0D0E0F");
  await form.getByRole("button", { name: "Try" }).click();
  await form.getByText("0 readings are read, 1 refused. Nothing was kept.").waitFor();
  await shelly.getByText("The device is answered 204; 422 if the mapping is strict.").waitFor();
  await shelly.getByRole("cell", { name: "refused, not_a_number: \"${ev.tC}\" is no number" }).waitFor();
  assert.equal(mock.sent.at(-1).body.mapping, undefined);
  await form.getByLabel("Body", { exact: true }).fill("");
  await form.getByLabel("Query").fill("?tC=20.5");
  await form.getByLabel("Another mapping").fill("preset:shelly-gen1");
  await form.getByRole("button", { name: "Try" }).click();
  await form.getByText("1 reading is read, 0 refused. Nothing was kept.").waitFor();
  await shelly.getByText("The device is answered 200, text/plain: ok.").waitFor();
  assert.deepEqual(mock.sent.at(-1).body, { body: "", query: "tC=20.5", mapping: "preset:shelly-gen1" });
  const cells = await shelly.getByRole("region", { name: "What is read" }).locator("tbody td").allTextContents();
  assert.deepEqual([...cells.slice(0, 5), cells[6]], ["/tC", "shellyht-0D0E0F", "unknown", "unknown", "20.50 °C", "read; it has no time of its own"]);
  await form.getByLabel("Another mapping").fill("{");
  await form.getByRole("button", { name: "Try" }).click();
  await form.getByRole("alert").getByText("The mapping is no JSON").waitFor();
  expected = [400];
  await form.getByLabel("Another mapping").fill("{}");
  await form.getByRole("button", { name: "Try" }).click();
  await form.getByRole("alert").getByText("take: must be there").waitFor();
});

test("without the scope admin, nothing that devices sent is shown, and nothing can be changed", async () => {
  await logIn("reader", "#/sources?source=shelly");
  const shelly = part("shelly");
  await shelly.getByText("shellyht-0A0B0C").waitFor();
  const isHidden = async () => {
    assert.equal(await shelly.locator("pre").count(), 0);
    assert.equal(await shelly.locator("form:visible").count(), 0);
    assert.equal(await shelly.getByText("Last refused messages").isVisible(), false);
  };
  await isHidden();
  assert.equal(asked("GET", "shelly/refused"), 0, "the page asks for nothing that is refused");
  const unlock = shelly.getByRole("button", { name: "Use such a token" });
  const dialog = page.getByRole("dialog", { name: "Token with the scope admin" });
  await unlock.click();
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await shelly.getByRole("alert").getByText("Nothing was sent: this needs a token with the scope admin.").waitFor();
  await unlock.click();
  await dialog.getByLabel("Token").fill(tokenOf("operator"));
  await page.keyboard.press("Enter");
  await shelly.locator("li.refused").nth(2).waitFor();
  await adoption("shellyht-0A0B0C").waitFor();
  assert.equal(await unlock.isVisible(), false);
  // A token that is taken back is asked for again, and what it showed goes.
  mock.tokens = Object.fromEntries(Object.entries(TOKENS).filter(([, { who }]) => who !== "operator"));
  mock.tell();
  await unlock.waitFor();
  await isHidden();
  assert.equal(await dialog.count(), 0, "no question comes by itself");
  await shelly.getByRole("alert").getByText("The token is not valid here").waitFor();
});

test("who logged in with the scope admin sees all at once, and no body is kept by the browser", async () => {
  await page.context().close();
  page = await opened({ serviceWorkers: "allow" });
  await logIn("operator", "#/sources?source=shelly");
  await part("shelly").locator("li.refused").nth(2).waitFor();
  await page.waitForFunction(async () => (await (await caches.open("isotherm-figures")).keys()).length > 0);
  mock.tell();
  await page.waitForResponse((response) => response.url().endsWith("/refused"));
  const kept = await page.evaluate(async () => {
    const store = await caches.open("isotherm-figures");
    const texts = [];
    for (const request of await store.keys()) texts.push(await (await store.match(request)).text());
    return texts.join();
  });
  assert.ok(kept.includes("cellar"));
  assert.ok(!kept.includes("alert(1)"));
});

test("who does not read every region is offered no sources", async () => {
  await logIn("keeper", "#/");
  await page.locator("[data-region='freezer-1']").waitFor();
  assert.equal(await page.getByRole("link", { name: "Sources" }).count(), 0);
  await page.goto(`${mock.url}/#/sources`);
  await page.getByText("it needs the scope read:*").waitFor();
});

test("where the node has no sources, there is no view of them", async () => {
  await page.context().close();
  await mock.close();
  mock = await serve({ without: ["/v1/sources"] });
  page = await opened({});
  await open("#/sources");
  await page.locator("[data-region='dock']").waitFor();
  assert.equal(await page.getByRole("link", { name: "Sources" }).count(), 0);
});

test("a refusal of one part leaves the others, and a source that is gone goes", async () => {
  await open("#/sources?source=shelly");
  await part("shelly").locator("li.refused").first().waitFor();
  expected = [404];
  const gone = mock.sources;
  mock.sources = gone.map((one) => (one.name === "shelly" ? { ...one, name: "shelly-2" } : one));
  mock.tell();
  await part("shelly-2").waitFor();
  assert.equal(await part("shelly").count(), 0);
  assert.deepEqual(await page.locator("details.source h2").allTextContents(), ["cellar", "influx", "shelly-2"]);
});

for (const [viewport, size] of [[DESKTOP, "desk"], [PHONE, "phone"]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`everybody can read of sources, and adopt: ${size}, ${colorScheme}`, async () => {
      await page.context().close();
      page = await opened({ viewport, colorScheme });
      await open("#/sources");
      await page.getByRole("link", { name: "cellar" }).waitFor();
      await checkAccessible(page, `sources ${size} ${colorScheme}`);
      await shot(`sources-${size}-${colorScheme}`);
      // By keyboard alone.
      await page.getByRole("link", { name: "shelly", exact: true }).focus();
      await page.keyboard.press("Enter");
      await adoption("<b>x</b>").waitFor();
      assert.equal(await page.locator(":focus").evaluate((node) => node.localName), "summary");
      await part("shelly").getByRole("button", { name: "Try this message" }).first().click();
      await page.getByRole("button", { name: "Try", exact: true }).click();
      await page.getByText("Nothing was kept.", { exact: false }).waitFor();
      await checkAccessible(page, `a source ${size} ${colorScheme}`);
      await shot(`sources-open-${size}-${colorScheme}`);
    });
  }
}
