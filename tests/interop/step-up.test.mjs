// Claims by name (OpenID Connect Core 5.5) and step-up (RFC 9470) as the library openid-client sees them, with an API that challenges.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import * as client from 'openid-client';

import { DEMO, Person } from './support/person.mjs';
import { API, REDIRECT_URI, beginAuthorization, registerClient, seeded, signIn } from './support/relying-party.mjs';
import { startServer } from './support/server.mjs';

let server;
let web, api, reports;

before(async () => {
  server = await startServer();
  [web, api] = await Promise.all(['demo-web', 'demo-api'].map((id) => seeded(server, id)));
  reports = await registerClient(server, {
    client_name: 'Interop step-up',
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
    scope: 'openid demo:read',
  });
});

after(() => server?.stop());

describe('the claims parameter', () => {
  const claims = JSON.stringify({ userinfo: { name: { essential: true } }, id_token: { email: null, phone_number: null } });

  test('brings each claim to where it was asked for, also after a refresh', async () => {
    const pages = [];
    const { url, checks } = await beginAuthorization(web, { claims });
    const callback = await new Person(server).authorize(url, { pages });
    assert.deepEqual(pages, ['login-submit', 'consent-allow']);
    const first = await client.authorizationCodeGrant(web, callback, checks);
    for (const tokens of [first, await client.refreshTokenGrant(web, first.refresh_token)]) {
      assert.equal(tokens.claims().email, DEMO.username);
      assert.equal(typeof tokens.claims().phone_number, 'string');
      assert.equal(tokens.claims().name, undefined);
      const info = await client.fetchUserInfo(web, tokens.access_token, tokens.claims().sub);
      assert.deepEqual(Object.keys(info).sort(), ['name', 'sub']);
    }
  });

  test('that cannot be read is told to the client', async () => {
    const { url, checks } = await beginAuthorization(web, { claims: '{"userinfo":["name"]}' });
    const callback = await new Person(server).authorize(url);
    const refusal = { name: 'AuthorizationResponseError', error: 'invalid_request' };
    await assert.rejects(client.authorizationCodeGrant(web, callback, checks), refusal);
  });
});

describe('an API that wants a recent sign-in', () => {
  const MAX_AGE = 1;
  /** The API serves only who signed in since this second. */
  let since = 0;
  const ACR = 'urn:keystead:acr:password';
  let guarded;

  before(async () => {
    guarded = createServer(async (request, response) => {
      const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
      const { active, acr, auth_time: authTime } = await client.tokenIntrospection(api, token);
      if (active && acr === ACR && authTime >= since) return response.end('served');
      response.statusCode = 401;
      const error = active ? 'insufficient_user_authentication' : 'invalid_token';
      const challenge = `Bearer error="${error}", acr_values="${ACR}", max_age="${MAX_AGE}"`;
      return response.setHeader('www-authenticate', challenge).end();
    });
    await new Promise((resolve) => { guarded.listen(0, '127.0.0.1', resolve); });
  });

  after(() => guarded?.close());

  const call = (token) => client.fetchProtectedResource(
    reports,
    token,
    new URL(`http://127.0.0.1:${guarded.address().port}/`),
    'GET',
  );

  test('is satisfied by the sign-in that it asks for', async () => {
    const person = new Person(server);
    const request = { scope: 'openid demo:read', resource: API };
    const { tokens } = await signIn(reports, person, request);
    assert.equal(await (await call(tokens.access_token)).text(), 'served');
    await sleep(1000 * (MAX_AGE + 1));
    since = Math.floor(Date.now() / 1000);

    const error = await call(tokens.access_token).then(() => assert.fail('served an old sign-in'), (thrown) => thrown);
    assert.equal(error.name, 'WWWAuthenticateChallengeError');
    const { error: code, acr_values, max_age } = error.cause[0].parameters;
    assert.equal(code, 'insufficient_user_authentication');

    const pages = [];
    const { url, checks } = await beginAuthorization(reports, { ...request, acr_values, max_age });
    const callback = await person.authorize(url, { pages });
    assert.deepEqual(pages, ['login-submit'], 'signed in again, although the session was there');
    const stepped = await client.authorizationCodeGrant(reports, callback, checks);
    assert.equal(await (await call(stepped.access_token)).text(), 'served');
    await assert.rejects(call(tokens.access_token), { name: 'WWWAuthenticateChallengeError' });
  });
});
