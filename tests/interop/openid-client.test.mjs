// The certified library openid-client against Keystead, as a relying party and a resource server use it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as client from 'openid-client';

import { DEMO, OTHER, Person } from './support/person.mjs';
import { API, OFFLINE, REDIRECT_URI, beginAuthorization, registerClient, seeded, signIn } from './support/relying-party.mjs';
import { startServer } from './support/server.mjs';

const SIGNED_OUT_URI = 'http://127.0.0.1:9999/signed-out';

let server;
/** demo-web, demo-spa, demo-service, demo-api by their short names. */
let web, spa, service, api;
/** Registered by the admin API: reads the API for its users, so demo-api may be asked about its tokens. */
let reports;

before(async () => {
  server = await startServer();
  [web, spa, service, api] = await Promise.all(
    ['demo-web', 'demo-spa', 'demo-service', 'demo-api'].map((id) => seeded(server, id)),
  );
  reports = await registerClient(server, {
    client_name: 'Interop reports',
    redirect_uris: [REDIRECT_URI],
    post_logout_redirect_uris: [SIGNED_OUT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
    scope: 'openid offline_access demo:read',
  });
});

after(() => server?.stop());

const REPORTS_OFFLINE = { scope: 'openid offline_access demo:read', prompt: 'consent', resource: API };

const invalidGrant = { name: 'ResponseBodyError', status: 400, error: 'invalid_grant' };
const refusedAtUserinfo = { name: 'WWWAuthenticateChallengeError', status: 401 };

/** May the API still serve this access token? */
async function isActive(accessToken) {
  const { active } = await client.tokenIntrospection(api, accessToken);
  return active;
}

describe('discovery', () => {
  test('says who issues and that responses name their issuer', () => {
    const metadata = web.serverMetadata();
    assert.equal(metadata.issuer, server.issuer);
    assert.equal(metadata.authorization_response_iss_parameter_supported, true);
    assert.ok(metadata.supportsPKCE('S256'));
    assert.ok(!metadata.supportsPKCE('plain'));
  });

  test('names an endpoint for each thing the tests below do', () => {
    const metadata = web.serverMetadata();
    const endpoints = ['authorization', 'token', 'introspection', 'revocation', 'userinfo', 'end_session'];
    for (const endpoint of endpoints) assert.ok(metadata[`${endpoint}_endpoint`].startsWith(server.issuer), endpoint);
  });

  test('is the same by OAuth 2.0 metadata as by OpenID Connect', async () => {
    const options = { algorithm: 'oauth2', execute: [client.allowInsecureRequests] };
    const oauth = await client.discovery(new URL(server.issuer), 'demo-web', undefined, client.None(), options);
    assert.equal(oauth.serverMetadata().issuer, server.issuer);
    assert.equal(oauth.serverMetadata().token_endpoint, web.serverMetadata().token_endpoint);
  });
});

describe('authorization code with PKCE', () => {
  test('signs a person in to a confidential client, with nonce and max_age checked', async () => {
    const { tokens } = await signIn(web, new Person(server), { scope: 'openid profile email', max_age: 3600 });
    const claims = tokens.claims();
    assert.equal(claims.iss, server.issuer);
    assert.deepEqual([claims.aud].flat(), ['demo-web']);
    assert.equal(typeof claims.auth_time, 'number');
    assert.equal(tokens.token_type, 'bearer');
    assert.ok(tokens.expiresIn() > 0);
  });

  test('signs a person in to a public client', async () => {
    const { tokens } = await signIn(spa, new Person(server), { scope: 'openid email' });
    assert.deepEqual([tokens.claims().aud].flat(), ['demo-spa']);
  });

  test('knows a signed-in person again, at the same auth_time', async () => {
    const person = new Person(server);
    const first = await signIn(web, person, { max_age: 3600 });
    const { url, checks } = await beginAuthorization(web, { prompt: 'none', max_age: 3600 });
    const second = await client.authorizationCodeGrant(web, await person.authorize(url), checks);
    assert.equal(second.claims().sub, first.tokens.claims().sub);
    assert.equal(second.claims().auth_time, first.tokens.claims().auth_time);
  });

  test('gives two people two subjects', async () => {
    const [one, two] = await Promise.all([DEMO, OTHER].map((who) => signIn(web, new Person(server, who))));
    assert.notEqual(one.tokens.claims().sub, two.tokens.claims().sub);
  });

  test('tells the client when the person refuses consent', async () => {
    const { url, checks } = await beginAuthorization(web, { prompt: 'consent' });
    const pages = [];
    const callback = await new Person(server).authorize(url, { consent: 'deny', pages });
    assert.deepEqual(pages, ['login-submit', 'consent-deny']);
    const refusal = { name: 'AuthorizationResponseError', error: 'access_denied' };
    await assert.rejects(client.authorizationCodeGrant(web, callback, checks), refusal);
  });

  test('refuses a code the second time and silences the tokens of the first', async () => {
    const { tokens, callback, checks } = await signIn(reports, new Person(server), REPORTS_OFFLINE);
    assert.equal(await isActive(tokens.access_token), true);
    await assert.rejects(client.authorizationCodeGrant(reports, callback, checks), invalidGrant);
    assert.equal(await isActive(tokens.access_token), false);
    await assert.rejects(client.refreshTokenGrant(reports, tokens.refresh_token), invalidGrant);
  });

  test('refuses a code whose verifier is another', async () => {
    const { url, checks } = await beginAuthorization(web);
    const callback = await new Person(server).authorize(url);
    const stolen = { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() };
    await assert.rejects(client.authorizationCodeGrant(web, callback, stolen), invalidGrant);
  });
});

describe('refresh', () => {
  test('gives new tokens for the same person and says how long the new refresh token lives', async () => {
    const { tokens } = await signIn(web, new Person(server), OFFLINE);
    const refreshed = await client.refreshTokenGrant(web, tokens.refresh_token);
    assert.match(refreshed.refresh_token, /^ksr_/);
    assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
    assert.notEqual(refreshed.access_token, tokens.access_token);
    assert.equal(typeof refreshed.refresh_token_expires_in, 'number');
    assert.equal(refreshed.claims().sub, tokens.claims().sub);
    assert.equal(refreshed.claims().auth_time, tokens.claims().auth_time);
  });

  test('works for a public client', async () => {
    const { tokens } = await signIn(spa, new Person(server), OFFLINE);
    const refreshed = await client.refreshTokenGrant(spa, tokens.refresh_token);
    assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
  });

  test('answers a client that lost the answer with the same successor', async () => {
    const { tokens } = await signIn(web, new Person(server), OFFLINE);
    const lost = await client.refreshTokenGrant(web, tokens.refresh_token);
    const again = await client.refreshTokenGrant(web, tokens.refresh_token);
    assert.equal(again.refresh_token, lost.refresh_token);
    await client.refreshTokenGrant(web, again.refresh_token);
  });

  test('takes an old token after its successor was used for theft, and ends the family', async () => {
    const first = (await signIn(reports, new Person(server), REPORTS_OFFLINE)).tokens;
    const second = await client.refreshTokenGrant(reports, first.refresh_token);
    const third = await client.refreshTokenGrant(reports, second.refresh_token);
    assert.equal(await isActive(third.access_token), true);

    await assert.rejects(client.refreshTokenGrant(reports, first.refresh_token), invalidGrant);

    await assert.rejects(client.refreshTokenGrant(reports, third.refresh_token), invalidGrant);
    for (const tokens of [first, second, third]) assert.equal(await isActive(tokens.access_token), false);
  });

  test('is refused to a client that the token was not given to', async () => {
    const { tokens } = await signIn(web, new Person(server), OFFLINE);
    await assert.rejects(client.refreshTokenGrant(spa, tokens.refresh_token), invalidGrant);
    await client.refreshTokenGrant(web, tokens.refresh_token);
  });
});

describe('userinfo', () => {
  test('gives the claims of the granted scopes', async () => {
    const scope = 'openid profile email address phone';
    const { tokens } = await signIn(web, new Person(server), { scope });
    const info = await client.fetchUserInfo(web, tokens.access_token, tokens.claims().sub);
    assert.equal(info.email, DEMO.username);
    assert.equal(info.email_verified, true);
    assert.equal(typeof info.name, 'string');
    assert.equal(typeof info.address, 'object');
    assert.equal(typeof info.phone_number, 'string');
  });

  test('gives no claims of a scope that was not asked for', async () => {
    const { tokens } = await signIn(web, new Person(server), { scope: 'openid' });
    const info = await client.fetchUserInfo(web, tokens.access_token, tokens.claims().sub);
    assert.deepEqual(Object.keys(info), ['sub']);
  });
});

describe('machine to machine', () => {
  test('gives a service a token that its API may ask about', async () => {
    const tokens = await client.clientCredentialsGrant(service, { scope: 'demo:read' });
    assert.equal(tokens.refresh_token, undefined);
    const answer = await client.tokenIntrospection(api, tokens.access_token);
    assert.equal(answer.active, true);
    assert.equal(answer.scope, 'demo:read');
    assert.equal(answer.client_id, 'demo-service');
    assert.deepEqual([answer.aud].flat(), [API]);
    assert.equal(answer.iss, server.issuer);
  });

  test('tells a stranger nothing about it', async () => {
    const { access_token: token } = await client.clientCredentialsGrant(service, { scope: 'demo:read' });
    assert.deepEqual({ ...await client.tokenIntrospection(web, token) }, { active: false });
    assert.deepEqual({ ...await client.tokenIntrospection(api, 'no token at all') }, { active: false });
  });

  test('refuses a scope that the service does not have', async () => {
    const refused = { name: 'ResponseBodyError', status: 400, error: 'invalid_scope' };
    await assert.rejects(client.clientCredentialsGrant(service, { scope: 'keystead:admin' }), refused);
  });
});

describe('revocation', () => {
  test('of a machine token shows at introspection at once', async () => {
    const { access_token: token } = await client.clientCredentialsGrant(service, { scope: 'demo:write' });
    assert.equal(await isActive(token), true);
    await client.tokenRevocation(service, token);
    assert.equal(await isActive(token), false);
  });

  test('of a refresh token ends its access tokens too', async () => {
    const { tokens } = await signIn(web, new Person(server), OFFLINE);
    const { sub } = tokens.claims();
    await client.fetchUserInfo(web, tokens.access_token, sub);
    await client.tokenRevocation(web, tokens.refresh_token);
    await assert.rejects(client.refreshTokenGrant(web, tokens.refresh_token), invalidGrant);
    await assert.rejects(client.fetchUserInfo(web, tokens.access_token, sub), refusedAtUserinfo);
  });

  test("of another client's token changes nothing", async () => {
    const { access_token: token } = await client.clientCredentialsGrant(service, { scope: 'demo:read' });
    await client.tokenRevocation(web, token).catch((error) => assert.equal(error.name, 'ResponseBodyError'));
    assert.equal(await isActive(token), true);
  });
});

describe('logout', () => {
  test('returns to the client with its state, and the session is over', async () => {
    const person = new Person(server);
    const { tokens } = await signIn(reports, person, { scope: 'openid' });
    const url = client.buildEndSessionUrl(reports, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: SIGNED_OUT_URI,
      state: 'back to the start & <on>',
    });

    const { left } = await person.signOut(url, SIGNED_OUT_URI);

    assert.deepEqual([...left.searchParams], [['state', 'back to the start & <on>']]);
    const silent = await beginAuthorization(reports, { prompt: 'none' });
    const callback = await person.authorize(silent.url);
    const refusal = { name: 'AuthorizationResponseError', error: 'login_required' };
    await assert.rejects(client.authorizationCodeGrant(reports, callback, silent.checks), refusal);
  });

  test('without a place to go ends on a page that says so', async () => {
    const person = new Person(server);
    const { tokens } = await signIn(web, person);
    const page = await person.signOut(client.buildEndSessionUrl(web, { id_token_hint: tokens.id_token }), null);
    assert.match(page.html, /You are signed out/);
  });

  test('never leaves for an address that is not registered', async () => {
    const person = new Person(server);
    const { tokens } = await signIn(reports, person);
    const elsewhere = `${SIGNED_OUT_URI}?extra=1`;
    const hint = { id_token_hint: tokens.id_token, post_logout_redirect_uri: elsewhere };
    const page = await person.signOut(client.buildEndSessionUrl(reports, hint), elsewhere);
    assert.equal(page.left, undefined);
    assert.match(page.html, /cannot be completed/);
  });
});
