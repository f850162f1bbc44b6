// Who may do what at the mock, as far as the page meets it.

import { randomUUID } from "node:crypto";

/** A token for each kind of person, as `serve` takes them. */
export const TOKENS = Object.fromEntries([
  ["operator", ["admin"]], ["reader", ["read:*", "metrics"]], ["keeper", ["read:freezer-1"]], ["door", ["write:dock-s1@dock"]],
].map(([who, scopes]) => [`isotherm_${who}_${who.slice(0, 4).padEnd(43, "0")}`, { who, scopes }]));

/** The token of one of them. */
export const tokenOf = (who) => Object.keys(TOKENS).find((token) => TOKENS[token].who === who);

const OF_ALL = ["/v1/corrections", "/v1/quarantine", "/v1/senders", "/v1/sources", "/v1/sync"];

/** Whether a region may be read. */
export function mayRead(scopes, region) {
  return scopes.some((scope) => scope === "read:*" || scope === `read:${region}`);
}

function refusal(status, code, detail) {
  return { status, body: { type: `urn:isotherm:problem:${code}`, title: "Mock", status, detail }, headers: { "cache-control": "no-store" } };
}

const denied = () => refusal(401, "unauthenticated", "the token is not valid here; the operator can make another one");
const lacks = (scope) => refusal(403, "forbidden", `the token does not allow this; it needs the scope ${scope}`);

/** What a session has of these scopes. */
function reading(scopes) {
  return scopes.includes("admin") ? ["read:*", "metrics"] : scopes.filter((scope) => /^read:|^metrics$/.test(scope));
}

/** Whose request it is; null if it has no credential, undefined if it has a wrong one. */
function grantOf({ tokens, sessions }, { headers }) {
  const token = headers.authorization?.match(/^Bearer (.*)$/)?.[1];
  if (token) return tokens[token] && { ...tokens[token], token, until: null };
  const id = headers.cookie?.match(/\bisotherm=([\w-]+)/)?.[1];
  if (!id) return null;
  const session = sessions.get(id);
  return session?.until > Date.now() ? { ...session, until: new Date(session.until).toISOString() } : undefined;
}

function answerOf(mock, method, grant) {
  const { who, token, scopes, until } = grant;
  const body = { auth: "on", who, scopes: method === "POST" ? reading(scopes) : scopes, until };
  if (method === "GET") return { status: 200, body };
  if (!token) return lacks("of a token");
  if (reading(scopes).length === 0) return refusal(403, "forbidden", "a session only reads, and the token allows no reading");
  const [id, ends] = [randomUUID(), Date.now() + mock.sessionMs];
  mock.sessions.set(id, { who, scopes: reading(scopes), until: ends });
  const headers = { "set-cookie": `isotherm=${id}; Path=/; HttpOnly; SameSite=Strict` };
  return { status: 200, body: { ...body, until: new Date(ends).toISOString() }, headers };
}

/** What is answered to a request before anybody looks at what it asks for: a `status` and a
 * `body`; or the `scopes` of one that may go on. */
export function admitted(mock, request, path) {
  const { method } = request;
  if (!path.startsWith("/v1/") && path !== "/metrics") return {};
  if (path === "/v1/session" && method === "DELETE") {
    mock.sessions.delete(request.headers.cookie?.match(/\bisotherm=([\w-]+)/)?.[1]);
    return { status: 204, headers: { "set-cookie": "isotherm=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict" } };
  }
  if (mock.tokens === null) {
    return path === "/v1/session" ? { status: 200, body: { auth: "off", who: null, scopes: ["read:*", "admin"], until: null } } : {};
  }
  const grant = grantOf(mock, request);
  if (grant === null) return refusal(401, "unauthenticated", "this needs a token; send it in a header: authorization: Bearer <token>");
  if (grant === undefined) return denied();
  if (path === "/v1/session") return answerOf(mock, method, grant);
  if (method !== "GET") return grant.scopes.includes("admin") ? { scopes: ["read:*"] } : lacks("admin");
  if (/^\/v1\/sources\/[^/]+\/refused$/.test(path)) return grant.scopes.includes("admin") ? { scopes: ["read:*"] } : lacks("admin");
  const scopes = reading(grant.scopes);
  const region = decodeURIComponent(path.match(/^\/v1\/regions\/([^/]+)/)?.[1] ?? "");
  if ((OF_ALL.includes(path) || path.startsWith("/v1/sources/")) && !mayRead(scopes, "*")) return lacks("read:*");
  if (region && !mayRead(scopes, region)) return lacks(`read:${region}`);
  return { scopes };
}
