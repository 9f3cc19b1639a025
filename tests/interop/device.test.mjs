// The device flow (RFC 8628) and introspection as JWT (RFC 9701) by the certified library openid-client.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as client from 'openid-client';

import { Person } from './support/person.mjs';
import { API, administer, adminToken, createClient, discover, seeded } from './support/relying-party.mjs';
import { startServer } from './support/server.mjs';

let server, television;

before(async () => {
  server = await startServer();
  const { client_id: id } = await createClient(server, {
    client_name: 'Interop television',
    token_endpoint_auth_method: 'none',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    scope: 'openid email offline_access',
  });
  television = await discover(server, id, client.None());
});

after(() => server?.stop());

// Together, since each waits five seconds between its polls.
describe('a device', { concurrency: true }, () => {
  const addresses = [
    ['address and the code', (device) => device.verification_uri],
    ['address that holds the code', (device) => device.verification_uri_complete],
  ];
  for (const [shown, addressOf] of addresses) {
    test(`that shows an ${shown} gets tokens while it polls`, async () => {
      const device = await client.initiateDeviceAuthorization(television, { scope: 'openid email offline_access' });
      const polling = client.pollDeviceAuthorizationGrant(television, device);
      const [tokens, page] = await Promise.all([
        polling,
        new Person(server).connectDevice(addressOf(device), device.user_code),
      ]);
      assert.match(page.html, /Your device is connected/);
      const { sub } = tokens.claims();
      const refreshed = await client.refreshTokenGrant(television, tokens.refresh_token);
      const info = await client.fetchUserInfo(television, refreshed.access_token, sub);
      assert.equal(info.email, 'demo@example.com');
    });
  }

  test('hears that the person denied it', async () => {
    const device = await client.initiateDeviceAuthorization(television, { scope: 'openid' });
    const polling = client.pollDeviceAuthorizationGrant(television, device);
    const denied = assert.rejects(polling, { name: 'ResponseBodyError', error: 'access_denied' });
    const page = await new Person(server).connectDevice(device.verification_uri, device.user_code, 'deny');
    assert.match(page.html, /was not connected/);
    await denied;
  });
});

describe('introspection as JWT', () => {
  /** demo-api as a client that verifies answers by this algorithm and keeps what type they were of. */
  async function apiThatVerifies(alg, types) {
    await administer(server, 'PATCH', '/clients/demo-api', { introspection_signed_response_alg: alg }, 200);
    const api = await seeded(server, 'demo-api', { introspection_signed_response_alg: alg });
    api[client.customFetch] = async (...request) => {
      const response = await fetch(...request);
      if (request[1].method === 'POST') types.push(response.headers.get('content-type'));
      return response;
    };
    return api;
  }

  for (const alg of ['RS256', 'ES256', 'PS256', 'EdDSA']) {
    test(`verifies by ${alg}`, async () => {
      const types = [];
      const api = await apiThatVerifies(alg, types);
      const service = await seeded(server, 'demo-service');
      const { access_token: token } = await client.clientCredentialsGrant(service, { scope: 'demo:read' });
      const answer = await client.tokenIntrospection(api, token);
      assert.equal(answer.active, true);
      assert.deepEqual([answer.aud].flat(), [API]);
      // A token that is for somebody else is told to be inactive in the same form.
      assert.equal((await client.tokenIntrospection(api, await adminToken(server))).active, false);
      const signed = 'application/token-introspection+jwt';
      assert.deepEqual(types, [signed, signed]);
    });
  }
});
