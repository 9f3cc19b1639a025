// Requests and answers that are pushed, signed or posted, as openid-client and a real Chromium handle them.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as client from 'openid-client';

import { launchBrowser, openWindow } from './support/browser.mjs';
import { DEMO, Person } from './support/person.mjs';
import { REDIRECT_URI, beginAuthorization, keyPair, registerClient, seeded } from './support/relying-party.mjs';
import { startServer } from './support/server.mjs';

let server, browser;

before(async () => {
  server = await startServer();
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A client with a key pair whose public half is registered. */
async function signingClient(metadata) {
  const { key, jwks } = await keyPair({ name: 'ECDSA', namedCurve: 'P-256' }, 'ES256', 'signer');
  const config = await registerClient(server, {
    client_name: 'Interop signer',
    redirect_uris: [REDIRECT_URI],
    scope: 'openid',
    jwks,
    ...metadata,
  });
  return { config, key };
}

/** Goes on with a request in another form; the answer has to pass the checks of the plain one. */
async function finish(config, { url, checks }, rebuild) {
  const parameters = url.searchParams;
  parameters.delete('client_id');
  const other = await rebuild(parameters);
  const callback = await new Person(server).authorize(other, { redirectUri: REDIRECT_URI });
  return { other, callback, tokens: await client.authorizationCodeGrant(config, callback, checks) };
}

describe('openid-client', () => {
  test('pushes its request', async () => {
    const web = await seeded(server, 'demo-web');
    const push = (parameters) => client.buildAuthorizationUrlWithPAR(web, parameters);
    const { other, tokens } = await finish(web, await beginAuthorization(web), push);
    assert.deepEqual([...other.searchParams.keys()].sort(), ['client_id', 'request_uri']);
    assert.equal(tokens.claims().iss, server.issuer);
  });

  test('signs its request', async () => {
    const { config, key } = await signingClient({ require_signed_request_object: true });
    const sign = (parameters) => client.buildAuthorizationUrlWithJAR(config, parameters, key);
    const { other, tokens } = await finish(config, await beginAuthorization(config), sign);
    assert.ok(other.searchParams.has('request') && !other.searchParams.has('state'));
    assert.equal(tokens.claims().iss, server.issuer);
  });

  test('pushes a signed request and verifies a signed answer', async () => {
    const { config, key } = await signingClient({
      require_signed_request_object: true,
      require_pushed_authorization_requests: true,
      request_object_signing_alg: 'ES256',
      authorization_signed_response_alg: 'PS256',
      response_modes: ['jwt'],
    });
    client.useJwtResponseMode(config);
    const push = async (parameters) => {
      const { searchParams } = await client.buildAuthorizationUrlWithJAR(config, parameters, key);
      return client.buildAuthorizationUrlWithPAR(config, { request: searchParams.get('request') });
    };
    const { callback, tokens } = await finish(config, await beginAuthorization(config), push);
    assert.deepEqual([...callback.searchParams.keys()], ['response']);
    assert.equal(tokens.claims().iss, server.issuer);
  });
});

describe('a posted answer in Chromium', () => {
  for (const javaScriptEnabled of [true, false]) {
    test(`arrives ${javaScriptEnabled ? 'by itself' : 'by a button where there is no JavaScript'}`, async (t) => {
      const window = await openWindow(browser, { javaScriptEnabled });
      t.after(() => window.close());
      const state = '"><svg/onload=alert(1)> é & +';
      const { url, checks } = await beginAuthorization(await seeded(server, 'demo-web'), {
        response_mode: 'form_post',
        prompt: 'consent',
        state,
      });
      await window.open(url.href);
      await window.signIn(DEMO);
      await window.arriveAt('consent-allow');
      const posted = window.page.waitForRequest((request) => request.url().startsWith(REDIRECT_URI));
      await window.press('consent-allow');
      if (!javaScriptEnabled) await window.press('form-post-submit');
      const request = await posted;

      assert.deepEqual([request.method(), request.url()], ['POST', REDIRECT_URI]);
      const answer = new URLSearchParams(request.postData());
      assert.equal(answer.get('state'), state);
      assert.equal(answer.get('iss'), server.issuer);
      const web = await seeded(server, 'demo-web');
      const callback = new Request(REDIRECT_URI, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: request.postData(),
      });
      const tokens = await client.authorizationCodeGrant(web, callback, { ...checks, expectedState: state });
      assert.equal(tokens.claims().iss, server.issuer);
    });
  }
});
