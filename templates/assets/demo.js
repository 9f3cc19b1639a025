// The demo application: a public OpenID Connect client without a library. Authorization code with PKCE (RFC 7636), the checks of
// RFC 9207 and OpenID Connect Core §3.1.3.7, refresh, userinfo and RP-initiated logout. Access and refresh tokens live in memory only;
// sessionStorage holds what has to survive a redirect, and the ID token, which the logout needs as a hint.

const root = document.getElementById("demo");
const issuer = root.dataset.issuer;
const clientId = root.dataset.clientId;
const redirectUri = `${location.origin}/demo/callback`;
const afterLogout = `${location.origin}/demo`;
const SCOPE = "openid profile email address phone offline_access";
const CLOCK_SKEW_SECONDS = 60;
const FLOW = "keystead-demo.flow";
const LOGOUT = "keystead-demo.logout";
const ID_TOKEN = "keystead-demo.id-token";

/** What went wrong and, unless it is the usual, what to do next. */
class DemoError extends Error {
  constructor(message, advice) {
    super(message);
    this.advice = advice;
  }
}

/** Tokens and claims of the current sign-in; null when there is none in memory. */
let session = null;
let metadata = null;

// ---- The page

const element = (id) => document.getElementById(`demo-${id}`);

function say(state, message, advice = "") {
  const status = element("status");
  status.dataset.state = state;
  status.replaceChildren(...[message, advice].filter(Boolean).map((text) => {
    const line = document.createElement("p");
    line.textContent = text;
    return line;
  }));
}

/** Fills an output; its panel is visible only while it holds something. */
function fill(id, text) {
  const output = element(id);
  output.textContent = text;
  output.closest("section").hidden = text === "";
}

function fillChecks(checks) {
  const list = element("checks");
  list.replaceChildren(...checks.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  list.closest("section").hidden = checks.length === 0;
}

const pretty = (value) => JSON.stringify(value, null, 2);

function showSession() {
  element("sign-in").hidden = session !== null;
  element("sign-in").disabled = false;
  element("hint").hidden = session !== null;
  element("refresh").hidden = !session?.refreshToken;
  element("userinfo").hidden = session === null;
  element("sign-out").hidden = session === null && sessionStorage.getItem(ID_TOKEN) === null;
  fillChecks(session?.checks ?? []);
  fill("id-token", session ? pretty(session.claims) : "");
  fill("access-token", session?.accessToken ?? "");
  element("access-token-about").textContent = session ? aboutAccessToken() : "";
  if (session === null) fill("userinfo-result", "");
}

function aboutAccessToken() {
  const until = session.expiresAt ? `Valid until ${session.expiresAt.toLocaleTimeString()}. ` : "";
  return `${until}Scope: ${session.scope}.`;
}

// ---- Encodings

const encoder = new TextEncoder();

function toBase64url(bytes) {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

const randomText = () => toBase64url(crypto.getRandomValues(new Uint8Array(32)));
const sha256 = (text) => crypto.subtle.digest("SHA-256", encoder.encode(text));
const jsonPart = (part) => JSON.parse(new TextDecoder().decode(fromBase64url(part)));

// ---- The server

async function fetchJson(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { ...options, credentials: "omit", cache: "no-store" });
  } catch {
    throw new DemoError(`${url} did not answer.`, "Check that keystead dev is still running, then try again.");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const reason = [body?.error, body?.error_description].filter(Boolean).join(": ");
  const failure = new DemoError(`${new URL(url).pathname} answered ${response.status}${reason ? ` (${reason})` : ""}.`);
  failure.code = body?.error;
  throw failure;
}

/** The page works at its issuer only (its CSP allows no other), and where the browser offers cryptography. */
function demandRightPlace() {
  if (new URL(issuer).origin !== location.origin) {
    throw new DemoError(`This page works at the issuer's address: ${issuer.replace(/\/$/, "")}/demo`, "Open it there.");
  }
  if (!crypto.subtle) throw new DemoError("The browser offers no cryptography here.", "Open this page over https or on 127.0.0.1.");
}

async function discover() {
  demandRightPlace();
  if (metadata) return metadata;
  const found = await fetchJson(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (found.issuer !== issuer) {
    throw new DemoError(`Discovery names another issuer: ${found.issuer}.`, "Set the issuer to the address this page was opened at.");
  }
  metadata = found;
  return metadata;
}

async function requestTokens(parameters) {
  const { token_endpoint: endpoint } = await discover();
  return fetchJson(endpoint, { method: "POST", body: new URLSearchParams({ ...parameters, client_id: clientId }) });
}

// ---- Verifying the ID token

function demand(holds, message) {
  if (holds) return;
  const failure = new DemoError(`The ID token was refused: ${message}.`);
  failure.code = "id_token_refused";
  throw failure;
}

async function verifySignature(token) {
  const [head, body, signature] = token.split(".");
  const { alg, kid } = jsonPart(head);
  demand(alg === "RS256", `this page verifies RS256 only, and it is signed with ${alg}`);
  const { jwks_uri: jwksUri } = await discover();
  const { keys } = await fetchJson(jwksUri);
  const jwk = keys.find((key) => key.kid === kid && key.kty === "RSA");
  demand(jwk, `its key ${kid} is not published`);
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", { kty: jwk.kty, n: jwk.n, e: jwk.e }, algorithm, false, ["verify"]);
  const good = await crypto.subtle.verify(algorithm, key, fromBase64url(signature), encoder.encode(`${head}.${body}`));
  demand(good, "its signature is wrong");
  return { claims: jsonPart(body), kid };
}

/** OpenID Connect Core §3.1.3.7. Returns the claims and, in words, what was checked. */
async function verifyIdToken(token, expected) {
  const { claims, kid } = await verifySignature(token);
  const now = Date.now() / 1000;
  demand(claims.iss === issuer, "it is from another issuer");
  demand([claims.aud].flat().includes(clientId), "it is meant for another client");
  demand(!Array.isArray(claims.aud) || claims.aud.length === 1 || claims.azp === clientId, "it is meant for several clients");
  demand(claims.exp > now - CLOCK_SKEW_SECONDS, "it has expired");
  demand(claims.iat < now + CLOCK_SKEW_SECONDS, "it was issued in the future");
  demand(claims.nonce === expected.nonce || (expected.refreshed && claims.nonce === undefined), "its nonce is not ours");
  demand(!expected.subject || claims.sub === expected.subject, "it is about somebody else");
  return {
    claims,
    checks: [
      `The signature of the ID token is good (RS256, key ${kid}).`,
      "Issuer, audience and times of the ID token are right.",
      claims.nonce === undefined ? "The ID token is about the same person as before." : "The nonce is the one this page made.",
    ],
  };
}

// ---- What a person can do here

async function signIn() {
  say("busy", "Taking you to the sign-in page…");
  const { authorization_endpoint: endpoint } = await discover();
  const flow = { state: randomText(), nonce: randomText(), verifier: randomText() };
  sessionStorage.setItem(FLOW, JSON.stringify(flow));
  const target = new URL(endpoint);
  const parameters = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: SCOPE,
    // OpenID Connect Core §11: offline_access counts only together with consent.
    prompt: "consent",
    state: flow.state,
    nonce: flow.nonce,
    code_challenge: toBase64url(await sha256(flow.verifier)),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
  location.assign(target);
}

function keep(answer, verified) {
  session = {
    ...verified,
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token ?? session?.refreshToken,
    scope: answer.scope ?? session?.scope ?? SCOPE,
    expiresAt: answer.expires_in ? new Date(Date.now() + answer.expires_in * 1000) : null,
  };
  if (answer.id_token) sessionStorage.setItem(ID_TOKEN, answer.id_token);
  showSession();
}

/** The authorization response. Nothing in it counts before state and iss are known to be ours. */
async function completeSignIn(answer) {
  say("busy", "Checking the answer…");
  const flow = JSON.parse(sessionStorage.getItem(FLOW) ?? "null");
  sessionStorage.removeItem(FLOW);
  if (flow === null || answer.get("state") !== flow.state) {
    throw new DemoError("This answer does not belong to a sign-in that this tab began.");
  }
  if (answer.get("iss") !== issuer) throw new DemoError("This answer comes from another issuer, so it was not used.");
  if (answer.has("error")) throw refusal(answer);
  const tokens = await requestTokens({
    grant_type: "authorization_code",
    code: answer.get("code"),
    redirect_uri: redirectUri,
    code_verifier: flow.verifier,
  });
  const verified = await verifyIdToken(tokens.id_token, { nonce: flow.nonce });
  const checks = ["State and issuer of the answer are ours.", "The server accepted the PKCE proof (S256).", ...verified.checks];
  keep(tokens, { ...verified, checks, nonce: flow.nonce });
  say("done", `You are signed in as ${verified.claims.email ?? verified.claims.preferred_username ?? verified.claims.sub}.`);
}

function refusal(answer) {
  const code = answer.get("error");
  if (code === "access_denied") {
    return new DemoError("Access was denied, so this app learned nothing about you. (access_denied)",
      "If that was not your intention, press “Sign in with Keystead” and choose “Allow”.");
  }
  const description = answer.get("error_description");
  return new DemoError(`The sign-in ended with ${code}${description ? `: ${description}` : ""}`);
}

async function refresh() {
  say("busy", "Refreshing…");
  try {
    const tokens = await requestTokens({ grant_type: "refresh_token", refresh_token: session.refreshToken });
    const expected = { nonce: session.nonce, subject: session.claims.sub, refreshed: true };
    const verified = tokens.id_token ? await verifyIdToken(tokens.id_token, expected) : session;
    keep(tokens, { claims: verified.claims, checks: verified.checks, nonce: session.nonce });
  } catch (error) {
    // An answer that was lost may be asked for again; after these two there is nothing left to refresh.
    if (error.code === "invalid_grant" || error.code === "id_token_refused") {
      session = null;
      showSession();
      element("sign-in").focus();
    }
    throw error;
  }
  say("done", `The tokens were refreshed at ${new Date().toLocaleTimeString()}.`, "The old refresh token has been replaced by a new one.");
}

async function callUserinfo() {
  say("busy", "Asking the userinfo endpoint…");
  const { userinfo_endpoint: endpoint } = await discover();
  const claims = await fetchJson(endpoint, { headers: { authorization: `Bearer ${session.accessToken}` } });
  if (claims.sub !== session.claims.sub) throw new DemoError("Userinfo answered about somebody else, so it is not shown.");
  fill("userinfo-result", pretty(claims));
  say("done", "The userinfo endpoint answered.");
}

async function signOut() {
  say("busy", "Signing you out…");
  const { end_session_endpoint: endpoint } = await discover();
  const state = randomText();
  sessionStorage.setItem(LOGOUT, state);
  const target = new URL(endpoint);
  const parameters = {
    id_token_hint: sessionStorage.getItem(ID_TOKEN) ?? "",
    client_id: clientId,
    post_logout_redirect_uri: afterLogout,
    state,
  };
  for (const [name, value] of Object.entries(parameters)) if (value) target.searchParams.set(name, value);
  location.assign(target);
}

function completeSignOut(answer) {
  const expected = sessionStorage.getItem(LOGOUT);
  sessionStorage.removeItem(LOGOUT);
  if (expected === null || answer.get("state") !== expected) {
    throw new DemoError("This answer does not belong to a sign-out that this tab began.", "Nothing was changed.");
  }
  sessionStorage.removeItem(ID_TOKEN);
  showSession();
  say("done", "You are signed out.", "Sign in again whenever you like.");
}

// ---- Start

function fail(error) {
  const known = error instanceof DemoError;
  if (!known) console.error(error);
  showSession();
  const usual = session ? "Refresh the tokens, or sign out and sign in again." : "Press “Sign in with Keystead” to try again.";
  if (known) say("error", error.message, error.advice ?? usual);
  else say("error", "Something unexpected happened.", "The browser's console has the details.");
}

/** Actions run one after the other, so that a quick second click is neither lost nor ahead of the first. */
let turn = Promise.resolve();
const inTurn = (action) => { turn = turn.then(action).catch(fail); };

async function start() {
  demandRightPlace();
  const answer = new URLSearchParams(location.search);
  // The code is good for one use: a reload must not present it again.
  if (location.search !== "" || location.pathname !== "/demo") history.replaceState(null, "", "/demo");
  showSession();
  if (answer.has("code") || answer.has("error")) return completeSignIn(answer);
  if (answer.has("state")) return completeSignOut(answer);
  if (sessionStorage.getItem(ID_TOKEN)) {
    say("idle", "You signed in here earlier.", "The tokens were only in memory and are gone. Sign in again, or sign out.");
  }
}

element("sign-in").addEventListener("click", () => inTurn(signIn));
element("refresh").addEventListener("click", () => inTurn(refresh));
element("userinfo").addEventListener("click", () => inTurn(callUserinfo));
element("sign-out").addEventListener("click", () => inTurn(signOut));
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
inTurn(start);
