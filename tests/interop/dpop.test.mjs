// DPoP by the certified library openid-client, on a server that demands nonces.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as client from 'openid-client';

import { Person } from './support/person.mjs';
import { OFFLINE, beginAuthorization, seeded } from './support/relying-party.mjs';
import { startServer } from './support/server.mjs';

let server;

before(async () => {
  server = await startServer({ KEYSTEAD__TOKENS__DPOP_NONCE_REQUIRED: 'true' });
});

after(() => server?.stop());

/** A client with a key of its own. */
async function withKey(clientId, algorithm) {
  const config = await seeded(server, clientId);
  return { config, DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair(algorithm)) };
}

async function signIn({ config, DPoP }, parameters) {
  const { url, checks } = await beginAuthorization(config, {
    ...parameters,
    dpop_jkt: await DPoP.calculateThumbprint(),
  });
  return client.authorizationCodeGrant(config, await new Person(server).authorize(url), checks, undefined, { DPoP });
}

describe('DPoP', () => {
  for (const clientId of ['demo-web', 'demo-spa']) {
    for (const algorithm of ['ES256', 'PS256', 'RS256', 'Ed25519']) {
      test(`binds the tokens of ${clientId} to a key of ${algorithm}`, async () => {
        const rp = await withKey(clientId, algorithm);
        const tokens = await signIn(rp, OFFLINE);
        assert.equal(tokens.token_type, 'dpop');
        const { sub } = tokens.claims();
        const info = await client.fetchUserInfo(rp.config, tokens.access_token, sub, { DPoP: rp.DPoP });
        assert.equal(info.sub, sub);
        const refreshed = await client.refreshTokenGrant(rp.config, tokens.refresh_token, undefined, { DPoP: rp.DPoP });
        assert.equal(refreshed.token_type, 'dpop');
      });
    }
  }

  test('makes a stolen refresh token of a public client useless', async () => {
    const rp = await withKey('demo-spa', 'ES256');
    const { refresh_token: token } = await signIn(rp, OFFLINE);
    const thief = await withKey('demo-spa', 'ES256');
    const invalidGrant = { name: 'ResponseBodyError', status: 400, error: 'invalid_grant' };
    await assert.rejects(client.refreshTokenGrant(thief.config, token, undefined, { DPoP: thief.DPoP }), invalidGrant);
    await assert.rejects(client.refreshTokenGrant(rp.config, token), invalidGrant);
    await client.refreshTokenGrant(rp.config, token, undefined, { DPoP: rp.DPoP });
  });

  test('makes a stolen access token useless', async () => {
    const rp = await withKey('demo-web', 'ES256');
    const tokens = await signIn(rp, OFFLINE);
    const refused = { name: 'WWWAuthenticateChallengeError', status: 401 };
    const ask = (options) => client.fetchUserInfo(rp.config, tokens.access_token, tokens.claims().sub, options);
    await assert.rejects(ask(), refused);
    await assert.rejects(ask({ DPoP: (await withKey('demo-web', 'ES256')).DPoP }), refused);
  });
});
