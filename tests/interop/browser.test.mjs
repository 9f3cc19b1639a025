// A real Chromium at Keystead's pages, by keyboard alone: the demo from sign-in to sign-out, and
// login and consent without JavaScript.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launchBrowser, openWindow } from './support/browser.mjs';
import { DEMO, OTHER } from './support/person.mjs';
import { REDIRECT_URI, beginAuthorization, seeded } from './support/relying-party.mjs';
import { startServer } from './support/server.mjs';

const WIDE = { viewport: { width: 1280, height: 800 } };
const NARROW = { viewport: { width: 320, height: 640 }, colorScheme: 'dark' };

let server, browser;

before(async () => {
  server = await startServer();
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A window that is closed when the test is over. */
async function windowFor(t, options) {
  const window = await openWindow(browser, options);
  t.after(() => window.close());
  return window;
}

/** From the demo page to its tokens, allowing what is asked. */
async function signInAtDemo(window, person) {
  await window.open(`${server.issuer}/demo`);
  await window.arriveAt('demo-sign-in');
  await window.press('demo-sign-in');
  await window.signIn(person);
  await window.arriveAt('consent-allow');
  await window.press('consent-allow');
  await window.arriveAt('demo-id-token', 'demo-spa');
}

describe('the demo by keyboard', () => {
  test('shows a refused consent and tries again', async (t) => {
    const window = await windowFor(t, WIDE);
    await window.open(`${server.issuer}/demo`);
    await window.press('demo-sign-in');
    await window.arriveAt('username');
    await window.arriveAtText('Sign in');
    await window.signIn(DEMO);
    await window.arriveAt('consent-deny');
    await window.press('consent-deny');
    await window.arriveAtText('access_denied');

    await window.press('demo-sign-in');
    await window.arriveAt('consent-allow');
    await window.press('consent-allow');
    await window.arriveAt('demo-id-token', 'demo-spa');
  });

  for (const [name, options, person] of [['wide', WIDE, DEMO], ['320 px', NARROW, OTHER]]) {
    test(`signs in, refreshes, asks for userinfo and signs out in a ${name} window`, async (t) => {
      const window = await windowFor(t, options);
      await signInAtDemo(window, person);
      const claims = await window.text('demo-id-token');
      for (const part of [server.issuer, 'sub', 'nonce']) assert.ok(claims.includes(part), `${part} in ${claims}`);

      const refreshed = await window.answerFrom('/oauth2/token', () => window.press('demo-refresh'));
      assert.equal(refreshed.status(), 200);
      assert.equal(new URLSearchParams(refreshed.request().postData()).get('grant_type'), 'refresh_token');
      await window.arriveAt('demo-userinfo');

      await window.press('demo-userinfo');
      await window.arriveAt('demo-userinfo-result', person.username);

      await signOutAtDemo(window);
      await window.open(`${server.issuer}/demo`);
      await window.press('demo-sign-in');
      await window.arriveAt('username');
    });
  }
});

/** Signs out, confirming if asked, up to the page that says it or the demo as it was at first. */
async function signOutAtDemo(window) {
  await window.toNextPage(() => window.press('demo-sign-out'));
  if (await window.isVisible('logout-confirm')) await window.toNextPage(() => window.press('logout-confirm'));
  const over = window.page.getByText('You are signed out').or(window.page.locator('#demo-sign-in'));
  await over.first().waitFor();
}

describe('login and consent without JavaScript', () => {
  const answers = [
    ['allow', (callback) => assert.match(callback.searchParams.get('code'), /^ksc_/)],
    ['deny', (callback) => assert.equal(callback.searchParams.get('error'), 'access_denied')],
  ];
  for (const [answer, judge] of answers) {
    test(`bring the answer "${answer}" to the client`, async (t) => {
      const window = await windowFor(t, { ...NARROW, javaScriptEnabled: false });
      const { url, checks } = await beginAuthorization(await seeded(server, 'demo-spa'));
      await window.open(url.href);
      await window.signIn(DEMO);
      await window.arriveAt(`consent-${answer}`);

      const callback = await window.requestTo(REDIRECT_URI, () => window.press(`consent-${answer}`));

      judge(callback);
      assert.equal(callback.searchParams.get('state'), checks.expectedState);
      assert.equal(callback.searchParams.get('iss'), server.issuer);
    });
  }
});

describe('the other pages', () => {
  test('an unknown redirect URI ends on a page that names the parameter', async (t) => {
    const window = await windowFor(t, NARROW);
    const parameters = { redirect_uri: 'http://127.0.0.1:9999/elsewhere' };
    const { url } = await beginAuthorization(await seeded(server, 'demo-web'), parameters);
    await window.open(url.href);
    await window.arriveAtText('redirect_uri');
    assert.equal(window.page.url(), url.href);
  });
});
