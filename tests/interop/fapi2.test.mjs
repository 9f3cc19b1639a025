// A client of the FAPI 2.0 Security Profile by the certified library openid-client: requests are pushed, the client signs
// who it is, every token is bound to its key, and every proof repeats a nonce.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as client from 'openid-client';

import { Person } from './support/person.mjs';
import { API, OFFLINE, beginAuthorization, createClient, discover, keyPair, seeded } from './support/relying-party.mjs';
import { startServer } from './support/server.mjs';

const REDIRECT_URI = 'https://bank.example.com/callback';
const RSA = { name: 'RSA-PSS', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };
const EC = { name: 'ECDSA', namedCurve: 'P-256' };

let server;

before(async () => {
  server = await startServer({ KEYSTEAD__TOKENS__DPOP_NONCE_REQUIRED: 'true' });
});

after(() => server?.stop());

/** A client of the profile, which names nothing but its keys, its redirect URI and its scope. */
async function register(alg, algorithm) {
  const { key, jwks } = await keyPair(algorithm, alg, 'bank');
  const { client_id: id } = await createClient(server, {
    client_name: 'Interop bank',
    profile: 'fapi2',
    redirect_uris: [REDIRECT_URI],
    scope: 'openid profile email offline_access demo:read',
    jwks,
  });
  const metadata = { id_token_signed_response_alg: 'PS256' };
  const config = await discover(server, id, client.PrivateKeyJwt(key), metadata);
  return { config, DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) };
}

/** The request, pushed; the address for the browser shows nothing of it. */
async function push({ config, DPoP }, parameters) {
  const { url: { searchParams }, checks } = await beginAuthorization(config, { redirect_uri: REDIRECT_URI, ...parameters });
  searchParams.delete('client_id');
  const url = await client.buildAuthorizationUrlWithPAR(config, searchParams, { DPoP });
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri']);
  return { url, checks };
}

async function signIn(bank, parameters) {
  const { url, checks } = await push(bank, parameters);
  const callback = await new Person(server).authorize(url, { redirectUri: REDIRECT_URI });
  assert.equal(callback.searchParams.get('iss'), server.issuer);
  const tokens = await client.authorizationCodeGrant(bank.config, callback, checks, undefined, { DPoP: bank.DPoP });
  return { tokens, callback, checks };
}

describe('FAPI 2.0', () => {
  for (const [alg, algorithm] of [['PS256', RSA], ['ES256', EC]]) {
    test(`goes from the pushed request to userinfo with assertions of ${alg}`, async () => {
      const bank = await register(alg, algorithm);
      const { tokens } = await signIn(bank, OFFLINE);
      assert.equal(tokens.token_type, 'dpop');
      const { sub } = tokens.claims();
      const info = await client.fetchUserInfo(bank.config, tokens.access_token, sub, { DPoP: bank.DPoP });
      assert.equal(info.email, 'demo@example.com');

      const refresh = (DPoP) => client.refreshTokenGrant(bank.config, tokens.refresh_token, undefined, { DPoP });
      const refreshed = await refresh(bank.DPoP);
      assert.equal(refreshed.token_type, 'dpop');
      assert.equal(refreshed.claims().sub, sub);
      assert.notEqual(refreshed.access_token, tokens.access_token);
      // The refresh token of the profile stays, so a second refresh is no theft.
      await refresh(bank.DPoP);
      await client.fetchUserInfo(bank.config, refreshed.access_token, sub, { DPoP: bank.DPoP });
    });
  }

  test('gives an API a bound token that introspection shows as such', async () => {
    const bank = await register('ES256', EC);
    const { tokens } = await signIn(bank, { scope: 'openid demo:read', resource: API });
    const answer = await client.tokenIntrospection(await seeded(server, 'demo-api'), tokens.access_token);
    assert.equal(answer.active, true);
    assert.equal(answer.cnf.jkt, await bank.DPoP.calculateThumbprint());
  });

  test('refuses a request that was not pushed', async () => {
    const { config } = await register('ES256', EC);
    const { url, checks } = await beginAuthorization(config, { redirect_uri: REDIRECT_URI });
    const callback = await new Person(server).authorize(url);
    const refusal = { name: 'AuthorizationResponseError', error: 'invalid_request' };
    await assert.rejects(client.authorizationCodeGrant(config, callback, checks), refusal);
  });

  test('refuses the code to a stranger with another key, and tokens without a key', async () => {
    const bank = await register('ES256', EC);
    const { url, checks } = await push(bank);
    const callback = await new Person(server).authorize(url, { redirectUri: REDIRECT_URI });
    const other = client.getDPoPHandle(bank.config, await client.randomDPoPKeyPair('ES256'));
    const redeem = (options) => client.authorizationCodeGrant(bank.config, callback, checks, undefined, options);
    await assert.rejects(redeem(), { name: 'ResponseBodyError', error: 'invalid_dpop_proof' });
    await assert.rejects(redeem({ DPoP: other }), { name: 'ResponseBodyError', error: 'invalid_grant' });
  });
});
