// A person at a browser without JavaScript: keeps cookies, follows redirects by hand, fills in the
// login and consent forms. Stops at the relying party's door: its address is returned, not visited.

import assert from 'node:assert/strict';

import { formWith, hasElement, submission } from './forms.mjs';

export const DEMO = { username: 'demo@example.com', password: 'keystead demo password' };
export const OTHER = { username: 'other@example.com', password: 'keystead other password' };

const STEP_LIMIT = 20;

export class Person {
  #issuer;
  #account;
  #cookies = new Map();

  constructor(server, account = DEMO) {
    this.#issuer = server.issuer;
    this.#account = account;
  }

  /**
   * Walks an authorization request to its end and returns the URL at the client's redirect URI.
   * `consent` is what to press if asked: 'allow' or 'deny'. `pages` collects the ids of the forms met.
   * `redirectUri` is for requests whose address does not show it.
   */
  async authorize(url, { consent = 'allow', pages = [], redirectUri = redirectUriOf(url) } = {}) {
    let stop = await this.#go({ url: new URL(url) }, redirectUri);
    for (let step = 0; stop.left === undefined; step += 1) {
      assert.ok(step < STEP_LIMIT, `still at ${stop.url.pathname} after ${STEP_LIMIT} forms`);
      const { button, typed } = this.#decide(stop, consent);
      pages.push(button);
      stop = await this.#press(stop, button, typed, redirectUri);
    }
    return stop.left;
  }

  /** Walks a logout, confirming if asked; returns `{left}` at the client's URI or the last page. */
  async signOut(url, postLogoutRedirectUri) {
    const stop = await this.#go({ url: new URL(url) }, postLogoutRedirectUri);
    if (stop.left !== undefined || !hasElement(stop.html, 'logout-confirm')) return stop;
    return this.#press(stop, 'logout-confirm', {}, postLogoutRedirectUri);
  }

  /** Opens the address that a device shows, types its code where that is not in the address, and decides; returns the last page. */
  async connectDevice(address, userCode, decision = 'allow') {
    let stop = await this.#go({ url: new URL(address) }, null);
    const forms = { 'login-submit': this.#account, 'user-code-submit': { 'user-code': userCode }, [`consent-${decision}`]: {} };
    for (let step = 0; !hasElement(stop.html, 'device-allowed') && !hasElement(stop.html, 'device-denied'); step += 1) {
      assert.ok(step < STEP_LIMIT, `still at ${stop.url.pathname} after ${STEP_LIMIT} forms`);
      const button = Object.keys(forms).find((id) => hasElement(stop.html, id));
      assert.ok(button, `no page of connecting a device: ${describe(stop)}`);
      stop = await this.#press(stop, button, forms[button], null);
    }
    return stop;
  }

  #decide(page, consent) {
    if (hasElement(page.html, 'login-submit')) return { button: 'login-submit', typed: this.#account };
    if (hasElement(page.html, 'consent-allow')) return { button: `consent-${consent}`, typed: {} };
    return assert.fail(`neither a login nor a consent page: ${describe(page)}`);
  }

  async #press(page, button, typed, redirectUri) {
    const form = formWith(page.html, button);
    assert.ok(form, `no form holds #${button}: ${describe(page)}`);
    for (const id of Object.keys(typed)) assert.ok(hasElement(page.html, id), `no #${id}: ${describe(page)}`);
    const { action, method, fields } = submission(form, button, typed);
    const url = new URL(action, page.url);
    if (method === 'GET') {
      url.search = fields;
      return this.#go({ url, from: page }, redirectUri);
    }
    return this.#go({ url, from: page, body: fields }, redirectUri);
  }

  /** One request and the redirects that follow it, up to a page or the redirect URI. */
  async #go(request, redirectUri) {
    let next = request;
    for (let hop = 0; hop < STEP_LIMIT; hop += 1) {
      const response = await this.#send(next);
      const location = response.headers.get('location');
      if (location === null) {
        const referrerPolicy = response.headers.get('referrer-policy');
        return { url: next.url, status: response.status, referrerPolicy, html: await response.text() };
      }
      // RFC 9700 §4.12: 307 and 308 would carry the password along to the client.
      assert.ok([302, 303].includes(response.status), `${response.status} is no redirect for a sign-in`);
      await response.body?.cancel();
      const target = new URL(location, next.url);
      if (redirectUri !== null && isAt(target, redirectUri)) return { left: target };
      assert.equal(target.origin, this.#issuer, `sent away to ${target.origin}`);
      next = { url: target, from: next.from };
    }
    return assert.fail(`more than ${STEP_LIMIT} redirects, last ${next.url.pathname}`);
  }

  async #send({ url, from, body }) {
    const headers = { accept: 'text/html', 'sec-fetch-site': from ? 'same-origin' : 'none' };
    if (this.#cookies.size > 0) headers.cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    // Fetch standard: a form on a page with no-referrer is posted with an opaque origin.
    if (body) headers.origin = from.referrerPolicy === 'no-referrer' ? 'null' : from.url.origin;
    const method = body ? 'POST' : 'GET';
    const response = await fetch(url, { method, headers, body, redirect: 'manual', signal: AbortSignal.timeout(15_000) });
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    return response;
  }

  /** Takes a cookie as a browser on loopback would: Secure is fine there, a false __Host- is not. */
  #keep(line) {
    const [pair, ...rest] = line.split(';').map((part) => part.trim());
    const [name, value] = splitOnce(pair, '=');
    const attributes = new Map(rest.map((part) => splitOnce(part, '=')).map(([key, text]) => [key.toLowerCase(), text]));
    if (name.startsWith('__Host-')) {
      const sound = attributes.has('secure') && attributes.get('path') === '/' && !attributes.has('domain');
      assert.ok(sound, `a browser drops the cookie ${name}: __Host- needs Secure, Path=/ and no Domain`);
    }
    const expired = Number(attributes.get('max-age') ?? 1) <= 0 || Date.parse(attributes.get('expires')) <= Date.now();
    if (expired) this.#cookies.delete(name);
    else this.#cookies.set(name, value);
  }
}

function redirectUriOf(url) {
  return new URL(url).searchParams.get('redirect_uri');
}

/** Is this URL the registered one, give or take the response's parameters? */
function isAt(url, redirectUri) {
  const registered = new URL(redirectUri);
  return url.origin === registered.origin && url.pathname === registered.pathname;
}

function splitOnce(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** Enough of a page to know it in a failure. */
function describe({ url, status, html }) {
  const text = html.replace(/<(script|style)\b.*?<\/\1>/gis, ' ').replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
  return `${status} at ${url.pathname}: ${text.trim().slice(0, 400)}`;
}
