// A service that serves the page and made-up answers: routes and troubles that are
// hard to bring about. `node mock.mjs 8080` serves it for a look.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { admitted, TOKENS } from "./mock/access.mjs";
import { answers } from "./mock/answers.mjs";
import { House } from "./mock/house.mjs";
import { BEHIND, FRESH, LOST, REACHED, SILENT } from "./mock/nodes.mjs";
import { problem } from "./mock/refusal.mjs";
import { someSources } from "./mock/sources.mjs";

const ROOT = new URL("../..", import.meta.url).pathname;
const ASSETS = join(ROOT, "query/assets");
const TYPES = {
  html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8",
  json: "application/json", svg: "image/svg+xml", txt: "text/plain; charset=utf-8", png: "image/png",
  webmanifest: "application/manifest+json",
};

/** The policy of the service, as its source has it. */
function policy() {
  const source = readFileSync(join(ROOT, "shared/src/api/assets.rs"), "utf8");
  const [, text] = source.match(/"content-security-policy",\s*"([^"]*)"/);
  return text.replace(/\\\n\s*/g, "");
}

function file(name) {
  try {
    return readFileSync(join(ASSETS, name));
  } catch {
    // Another part of the service brings it; the page only links to it.
    return name === "report.html" ? "<!doctype html><title>Report</title>" : null;
  }
}

/** Serves a house at a port of this machine. `without` are the routes it lacks. With
 * `tokens` (`mock/access.mjs`), access control is on. `mock.nodes` are those that send to it,
 * `mock.sync` is the exchange with its peers (`mock/nodes.mjs`), and `mock.sources` are those
 * whose messages it reads (`mock/sources.mjs`). */
export async function serve({ port = 0, without = [], timeZone = "Europe/Berlin", tokens = null } = {}) {
  const mock = {
    house: new House(Date.now()), without, timeZone, tokens, sessions: new Map(), sessionMs: 8 * 3_600_000,
    isDown: false, isStale: false, isFrozen: false, asked: [], sent: [],
    nodes: [], sync: { peers: [] }, sources: [],
  };
  const streams = new Set();
  const server = createServer(async (request, response) => {
    if (!mock.isFrozen) mock.house.tick(Date.now());
    const url = new URL(request.url, "http://mock");
    if (mock.isDown) return void request.socket.destroy();
    mock.asked.push(`${request.method} ${request.url}`);
    const json = (status, body, headers = {}) => {
      const type = status < 400 ? "application/json" : "application/problem+json";
      response.writeHead(status, { "content-type": type, "cache-control": "no-cache", ...headers }).end(JSON.stringify(body));
    };
    const { status: refused, body: said, headers: besides, scopes } = admitted(mock, request, url.pathname);
    if (refused === 204) return void response.writeHead(204, besides).end();
    if (refused) return json(refused, said, besides);
    if (url.pathname === "/v1/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("event: readings\ndata: 1\n\n");
      streams.add(response);
      request.on("close", () => streams.delete(response));
      return undefined;
    }
    const name = url.pathname === "/" ? "index.html" : url.pathname.match(/^\/assets\/([\w.-]+)$/)?.[1];
    if (name) {
      const content = file(name);
      if (content === null) return json(404, problem(404, "no such file"));
      const headers = {
        "content-type": TYPES[name.split(".").at(-1)], "content-security-policy": policy(),
        "cache-control": "no-cache", "x-content-type-options": "nosniff",
      };
      if (name === "sw.js") headers["service-worker-allowed"] = "../";
      return void response.writeHead(200, headers).end(content);
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    if (body) mock.sent.push({ method: request.method, path: url.pathname, body: JSON.parse(body) });
    const { status, ...answer } = answers(mock, request.method, url, body && JSON.parse(body), scopes);
    const stated = mock.isStale && answer.body.stale !== undefined ? { ...answer.body, stale: true } : answer.body;
    if (answer.text !== undefined) return void response.writeHead(status, { "content-type": "text/csv" }).end(answer.text);
    return json(status, stated);
  });
  await new Promise((listens) => { server.listen(port, "127.0.0.1", listens); });
  mock.url = `http://127.0.0.1:${server.address().port}`;
  /** Takes the service away, and every connection with it. */
  mock.fall = () => {
    mock.isDown = true;
    server.closeAllConnections();
  };
  mock.tell = () => streams.forEach((stream) => stream.write("event: readings\ndata: 2\n\n"));
  mock.close = () => new Promise((closed) => {
    server.close(closed);
    server.closeAllConnections();
  });
  return mock;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const mock = await serve({ port: Number(process.argv[2] ?? 8080), tokens: process.argv[3] === "on" ? TOKENS : null });
  const { url } = mock;
  Object.assign(mock, { nodes: [FRESH, SILENT, BEHIND], sync: { peers: [REACHED, LOST] }, sources: someSources() });
  console.log(url, process.argv[3] === "on" ? Object.keys(TOKENS).join(" ") : "");
}
