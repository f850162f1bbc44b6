// What the page says of other nodes: of those that send to this one, and of its peers. Over
// made-up answers (mock.mjs). Screenshots go to ISOTHERM_SCREENSHOTS.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { checkAccessible } from "./accessible.mjs";
import { serve } from "./mock.mjs";
import { TOKENS, tokenOf } from "./mock/access.mjs";
import { BEHIND, CLONED, FRESH, LOST, NAMELESS, NEVER_TRIED, REACHED, SILENT } from "./mock/nodes.mjs";

const { ISOTHERM_SCREENSHOTS: shots } = process.env;
const DESKTOP = { width: 1200, height: 900 };
const PHONE = { width: 390, height: 800 };
const REGION = "#/region/dock?range=24h&step=1h";

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
  made.on("console", (message) => {
    const isExpected = expected.some((status) => message.text().includes(`status of ${status}`));
    if (message.type() === "error" && !isExpected) errors.push(message.text());
  });
  return made;
}

const state = (name) => page.waitForSelector(`#state[data-state="${name}"]`, { state: "attached", timeout: 40_000 });
const shot = (name) => page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
const marks = () => page.locator("main .alarm:visible", { hasText: /sends? here/ });
const row = (name) => page.getByRole("row").filter({ has: page.getByRole("cell", { name, exact: true }) });

async function open(hash) {
  await page.goto("about:blank");
  await page.goto(`${mock.url}/${hash}`);
  await state("live");
}

/** The terms of the peer at this origin, by name. */
async function factsOf(origin) {
  const section = page.locator("section", { has: page.getByRole("heading", { name: origin, exact: true }) }).last();
  const pairs = await section.locator("dl > div").evaluateAll((all) =>
    all.map((pair) => [...pair.children].map((node) => node.textContent)));
  return Object.fromEntries(pairs);
}

test("a node without others says nothing of them but in its status", async () => {
  for (const hash of ["#/", REGION]) {
    await open(hash);
    await page.locator("[data-region='dock'], .figures dd").first().waitFor();
    assert.equal(await page.getByText("send here").locator("visible=true").count(), 0, hash);
  }
  await open("#/status");
  await page.getByText("It sends to no other node, and none sends to it.").waitFor();
  assert.ok(!mock.asked.some((asked) => asked.includes("/v1/senders")), "there is nothing to ask for");
});

test("who is silent or behind is said above the regions and in a region, and nothing once all are there", async () => {
  const words = "1 of 3 nodes that send here is up to date; gw-3 is behind by about 38,000 readings; "
    + "gw-2 has been silent for 12 min; about 43,000 readings are missing.";
  mock.nodes = [FRESH, SILENT, BEHIND];
  await open("#/");
  await marks().getByText(words).waitFor();
  await open(REGION);
  await marks().getByText(`${words} Readings of this region may be among those that are missing.`).waitFor();
  mock.nodes = [{ ...SILENT, missing: 0 }];
  mock.tell();
  await marks().getByText("The node that sends here is not up to date; gw-2 has been silent for 12 min.", { exact: true }).waitFor();
  mock.nodes = [FRESH];
  mock.tell();
  await marks().waitFor({ state: "detached" });
  await open("#/");
  await row("gw-1").getByText("up to date").waitFor();
  assert.equal(await marks().count(), 0);
});

test("a region has a mark while a node that sends its readings is silent or behind, and others have none", async () => {
  const marked = () => page.locator("[data-region] .lack").evaluateAll((all) =>
    all.map((mark) => [mark.closest("[data-region]").dataset.region, mark.textContent]));
  mock.nodes = [FRESH, SILENT, BEHIND];
  await open("#/");
  await page.locator("[data-region='dock'] .lack").waitFor();
  assert.deepEqual(await marked(), [["dock", "readings from gw-2, gw-3 may be missing"]]);
  await checkAccessible(page);
  await shot("regions-behind");
  await open(REGION);
  await page.getByText("readings from gw-2, gw-3 may be missing", { exact: true }).waitFor();
  mock.nodes = [FRESH];
  mock.tell();
  await page.getByText(/^readings from .* may be missing$/).waitFor({ state: "detached" });
  await open("#/");
  await page.locator("[data-region='dock'] .average").waitFor();
  assert.deepEqual(await marked(), []);
});

test("the words are right for one node and for many", async () => {
  for (const [nodes, words] of [
    [[SILENT], "The node that sends here is not up to date; gw-2 has been silent for 12 min; about 4,300 readings are missing."],
    [[SILENT, { ...SILENT, name: "gw-9", missing: 0 }], "None of 2 nodes that send here are up to date; gw-2 has been silent for 12 min; gw-9 has been silent for 12 min; about 4,300 readings are missing."],
    [[FRESH, NAMELESS, { ...SILENT, missing: 0 }], "2 of 3 nodes that send here are up to date; gw-2 has been silent for 12 min."],
    [[1, 2, 3, 4, 5].map((n) => ({ ...BEHIND, name: `b${n}`, missing: 10 - n, behind: 10 - n })),
      "None of 5 nodes that send here are up to date; b1 is behind by about 9 readings; b2 is behind by about 8 readings; b3 is behind by about 7 readings; 2 more are silent or behind; about 35 readings are missing."],
  ]) {
    mock.nodes = nodes;
    await open("#/");
    await marks().getByText(words, { exact: true }).waitFor();
  }
});

test("each node that sends has a row: how fresh it is, by how much it is behind, since when it is silent", async () => {
  mock.nodes = [FRESH, NAMELESS, SILENT, BEHIND];
  await open("#/");
  const contact = new Date(mock.house.now - 745_000).toISOString().slice(0, 19).replace("T", " ");
  const cells = async (name) => (await row(name).getByRole("cell").allTextContents()).slice(1);
  await page.getByLabel(/Times are/).selectOption("here");
  await row("gw-2").waitFor();
  const [said, last, since, behind, missing] = await cells("gw-2");
  assert.deepEqual([said, last, behind, missing], ["silent for 12 min", "12 min ago", "9", "about 4,312"]);
  assert.match(since, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ?$/);
  assert.equal(Date.parse(contact) % 60_000, Date.parse(since.slice(0, 19)) % 60_000);
  assert.deepEqual(await cells("gw-3"), ["behind by 38,211 readings", "3 s ago", "–", "38,211", "38,211"]);
  assert.deepEqual(await cells("gw-1"), ["up to date", "7 s ago", "–", "52", "52"]);
  // One without a name is called by the beginning of its id.
  assert.deepEqual(await cells("1f1f1f1f"), ["up to date", "12 s ago", "–", "0", "0"]);
  const names = await page.getByRole("region", { name: /Nodes that send here/ }).locator("tbody td:first-child").allTextContents();
  assert.deepEqual(names, ["gw-3", "gw-2", "gw-1", "1f1f1f1f"]);
});

test("the status has all of each node that sends, and of each peer", async () => {
  mock.nodes = [FRESH, SILENT, CLONED, { ...FRESH, name: "gw-6", forks: 1 }];
  mock.sync = { peers: [REACHED, LOST, NEVER_TRIED], dropped_readings: 120, dropped_from: "2026-01-02T03:04:00.000Z", dropped_to: "2026-01-03T03:04:00.000Z" };
  await open("#/status");
  await page.getByText(`This node is hub, ${"c0ffee".padEnd(32, "7")}.`).waitFor();
  const hub = await factsOf(REACHED.origin);
  assert.equal(hub["Takes what is sent"], "yes");
  assert.equal(hub.Behind, "34 readings of 1 minute");
  assert.match(hub["Rejected, kept aside"], /^17 readings of 3 minutes since .*: they are older than what the peer takes/);
  assert.equal(hub["Everything was sent again"], "1 time");
  assert.equal(hub["Its id"], "be".repeat(16));
  const lost = await factsOf(LOST.origin);
  assert.equal(lost["Takes what is sent"], "no, 41 failures in a row: no answer in time: connection refused");
  assert.match(lost["Next try"], /^not before \d{4}/);
  assert.match(lost["Last answer"], /, 2 h ago$/);
  assert.equal((await factsOf(NEVER_TRIED.origin))["Takes what is sent"], "not known: nothing was sent yet");
  await page.getByText(/^120 readings between .* can't be sent any more/).waitFor();
  await row("gw-5").getByText(/^14 times, last at .*: two nodes with the same database\?$/).waitFor();
  await row("gw-6").getByText(/^once, at .*: restored from a backup\?$/).waitFor();
  await row("gw-2").getByText("silent for 12 min").waitFor();
});

test("where what sends is not deployed, nothing is said of peers, and it is asked for once", async () => {
  expected = [404];
  mock.nodes = [FRESH];
  mock.sync = null;
  await open("#/status");
  await row("gw-1").waitFor();
  mock.tell();
  await page.waitForResponse((response) => response.url().endsWith("/v1/senders"));
  assert.equal(mock.asked.filter((asked) => asked === "GET /v1/sync").length, 1);
  assert.equal(await page.getByText("This node is").count(), 0);
  mock.nodes = [];
  await open("#/status");
  await page.getByRole("heading", { name: "Access" }).waitFor();
  assert.equal(await page.getByRole("heading", { name: "Exchange with other nodes" }).count(), 0);
});

test("a refusal of one part leaves the others", async () => {
  expected = [403];
  mock.nodes = [SILENT];
  mock.sync = 403;
  await open("#/status");
  await page.getByText("Not known, to which nodes this one sends: the token does not allow this").waitFor();
  await row("gw-2").waitFor();
});

test("a session that reads some regions sees that a node is silent, and asks for no names", async () => {
  mock.tokens = TOKENS;
  mock.nodes = [FRESH, SILENT, BEHIND];
  mock.sync = { peers: [REACHED] };
  expected = [401];
  await page.goto(mock.url);
  await page.getByLabel("Token", { exact: true }).fill(tokenOf("keeper"));
  await page.getByRole("button", { name: "Log in" }).click();
  await state("live");
  const words = "1 of 3 nodes that send here is silent; about 43,000 readings are missing.";
  await marks().getByText(words).waitFor();
  assert.equal(await page.getByRole("link", { name: "How each of them is" }).locator("visible=true").count(), 0);
  await page.getByText("3 nodes send here, 1 of them silent; 42,575 readings are on the way or missing.").waitFor();
  await page.goto(`${mock.url}/#/region/freezer-1`);
  await marks().getByText(words).waitFor();
  await page.goto(`${mock.url}/#/status`);
  await page.getByRole("heading", { name: "Access" }).waitFor();
  assert.equal(await page.getByRole("heading", { name: "Exchange with other nodes" }).count(), 0);
  assert.ok(!mock.asked.some((asked) => /v1\/(senders|sync)/.test(asked)), "these are for others");
});

test("of answers that are old, how fresh the nodes are is not said", async () => {
  mock.nodes = [SILENT];
  await open("#/");
  await marks().waitFor();
  mock.isStale = true;
  mock.tell();
  await state("stale");
  assert.equal(await marks().count(), 0);
});

test("the wall says that nodes are silent", async () => {
  mock.nodes = [FRESH, SILENT];
  await open("#/kiosk");
  await page.locator(".words").getByText("1 of 2 nodes that send here is silent").waitFor();
});

test("a table keeps the focus and where it was scrolled to", async () => {
  await page.setViewportSize(PHONE);
  mock.nodes = [FRESH, SILENT];
  await open("#/");
  const box = page.getByRole("region", { name: /Nodes that send here/ });
  await box.evaluate((node) => {
    node.focus();
    node.scrollLeft = 40;
    node.dataset.old = "old";
  });
  mock.nodes = [{ ...FRESH, seconds: 21 }, SILENT];
  mock.tell();
  await row("gw-1").getByText("21 s ago").waitFor();
  assert.deepEqual(await box.evaluate((node) => [node === document.activeElement, node.scrollLeft, node.dataset.old]), [true, 40, undefined]);
});

for (const [viewport, size] of [[DESKTOP, "desk"], [PHONE, "phone"]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`everybody can read what is said of other nodes: ${size}, ${colorScheme}`, async () => {
      await page.context().close();
      page = await opened({ viewport, colorScheme });
      mock.nodes = [FRESH, SILENT, BEHIND, NAMELESS, CLONED];
      mock.sync = { peers: [REACHED, LOST, NEVER_TRIED], dropped_readings: 120, dropped_from: "2026-01-02T03:04:00.000Z", dropped_to: "2026-01-03T03:04:00.000Z" };
      for (const [name, hash] of Object.entries({ overview: "#/", region: REGION, status: "#/status" })) {
        await open(hash);
        await page.getByText("gw-3").first().waitFor();
        await checkAccessible(page, `${name} ${size} ${colorScheme}`);
        await shot(`exchange-${name}-${size}-${colorScheme}`);
      }
    });
  }
}
