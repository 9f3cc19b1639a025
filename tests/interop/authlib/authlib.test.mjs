// A site and services built on Authlib (Python): the script app.py, driven by a person and by calls.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { PYTHON, withFiles } from '../support/peer.mjs';
import { DEMO, Person } from '../support/person.mjs';
import { Program, answers, freePorts } from '../support/process.mjs';
import { API, createClient, secretOf } from '../support/relying-party.mjs';
import { startServer } from '../support/server.mjs';

const SCRIPT = new URL('app.py', import.meta.url).pathname;

describe('Authlib', withFiles(PYTHON), () => {
  let server, app;

  before(async () => {
    server = await startServer();
    app = await startApp(server);
  });

  after(async () => {
    await app?.program.stop();
    await server?.stop();
  });

  /** One call of the script; the answer is JSON, or says what went wrong. */
  async function call(path, form = undefined) {
    const body = form && new URLSearchParams(form);
    const response = await fetch(`${app.url}${path}`, { method: body ? 'POST' : 'GET', body });
    const text = await response.text();
    assert.equal(response.status, 200, `${path}: ${text}\n${app.program.output}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  test('signs a person in with PKCE, verifies the ID token, refreshes, and asks for userinfo', async () => {
    const begun = await fetch(`${app.url}/login`, { redirect: 'manual' });
    const cookie = begun.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
    const url = new URL(begun.headers.get('location'));
    for (const name of ['code_challenge', 'nonce', 'state']) assert.ok(url.searchParams.has(name), name);

    const callback = await new Person(server).authorize(url);
    const response = await fetch(callback, { headers: { cookie } });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const { id_token_claims: claims, userinfo, refreshed } = JSON.parse(text);

    assert.equal(claims.iss, server.issuer);
    assert.equal(claims.nonce, url.searchParams.get('nonce'));
    assert.equal(userinfo.sub, claims.sub);
    assert.equal(userinfo.email, DEMO.username);
    assert.equal(refreshed, true);
  });

  test('gives a machine with a secret a token, which its API asks about until it is given back', async () => {
    const { access_token: token } = await call('/service');
    const answer = await call('/introspect', { token });
    assert.equal(answer.active, true);
    assert.equal(answer.scope, 'demo:read');
    assert.deepEqual([answer.aud].flat(), [API]);
    await call('/revoke', { token });
    assert.deepEqual(await call('/introspect', { token }), { active: false });
  });

  test('gives a machine with a key a token, whatever name of this server it signs for', async () => {
    for (const query of ['', `?audience=${encodeURIComponent(server.issuer)}`]) {
      const { access_token: token } = await call(`/signing-service${query}`);
      assert.equal((await call('/introspect', { token })).active, true);
    }
  });
});

/** Registers the script's clients and starts it. */
async function startApp(server) {
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const machine = { grant_types: ['client_credentials'], scope: 'demo:read' };
  const [web, service, signing] = await Promise.all([
    createClient(server, {
      client_name: 'Interop Authlib',
      redirect_uris: [`${url}/callback`],
      grant_types: ['authorization_code', 'refresh_token'],
      scope: 'openid profile email offline_access',
    }),
    createClient(server, { client_name: 'Interop machine', ...machine }),
    createClient(server, {
      client_name: 'Interop signing machine',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'authlib', use: 'sig', alg: 'RS256' }] },
      ...machine,
    }),
  ]);
  const program = new Program(PYTHON, [SCRIPT], {
    env: {
      AUTHLIB_INSECURE_TRANSPORT: '1',
      PORT: String(port),
      ISSUER: server.issuer,
      WEB_ID: web.client_id,
      WEB_SECRET: web.client_secret,
      SERVICE_ID: service.client_id,
      SERVICE_SECRET: service.client_secret,
      SIGNING_ID: signing.client_id,
      SIGNING_KEY: privateKey.export({ format: 'pem', type: 'pkcs8' }),
      API_ID: 'demo-api',
      API_SECRET: secretOf('demo-api'),
    },
  });
  await program.until('answer', () => answers(`${url}/nothing`));
  return { program, url };
}
