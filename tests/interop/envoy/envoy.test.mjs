// Envoy in front of an API verifies access tokens by itself: through a rotation of keys under traffic no good token is refused.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import * as client from 'openid-client';

import { ENVOY, withFiles } from '../support/peer.mjs';
import { Person } from '../support/person.mjs';
import { Program, freePorts } from '../support/process.mjs';
import { API, administer, adminToken, keyPair, seeded, signIn } from '../support/relying-party.mjs';
import { startServer } from '../support/server.mjs';

const CONFIGURATION = new URL('envoy.yaml', import.meta.url);
const PACE_MS = 50;
/** The successor signs after keys.jwks_max_age, which is 5 s in dev. */
const SUCCESSOR_WITHIN_MS = 20_000;
/** Longer than Envoy keeps the keys. */
const AFTERWARDS_MS = 3_000;

describe('Envoy with jwt_authn', withFiles(ENVOY), () => {
  let server, front, service;

  before(async () => {
    server = await startServer();
    service = await seeded(server, 'demo-service');
    front = await startFront(server);
    await front.program.until('word that it has the keys', async () => (await ask(await freshToken())).status === 200);
  });

  after(async () => {
    await front?.stop();
    await server?.stop();
  });

  async function freshToken() {
    const { access_token: token } = await client.clientCredentialsGrant(service, { scope: 'demo:read' });
    return token;
  }

  async function ask(token) {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`${front.url}/reports`, { headers }).catch((error) => ({ status: error.message }));
    const text = await response.text?.();
    return { status: response.status, text, seen: response.status === 200 ? JSON.parse(text) : undefined };
  }

  test('lets a good token through and tells the API whose it is', async () => {
    const { status, text, seen } = await ask(await freshToken());
    assert.equal(status, 200, text);
    assert.deepEqual(seen, { client: 'demo-service', scope: 'demo:read' });
  });

  test('refuses everything else', async () => {
    const good = await freshToken();
    const [head, body, signature] = good.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url'));
    const changed = Buffer.from(JSON.stringify({ ...claims, scope: 'demo:write' })).toString('base64url');
    const { tokens } = await signIn(await seeded(server, 'demo-web'), new Person(server));
    const cases = [
      ['no token', undefined, 401],
      ['no JWT', 'ksr_nothing', 401],
      ['changed claims', `${head}.${changed}.${signature}`, 401],
      ['a key of somebody else under our name', await forged(head, body), 401],
      ['no signature', `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`, 401],
      ['a token for another API', await adminToken(server), 403],
      ['an ID token', tokens.id_token, 403],
    ];
    for (const [what, token, expected] of cases) {
      const { status, text } = await ask(token);
      assert.equal(status, expected, `${what}: ${text}`);
    }
    assert.equal((await ask(good)).status, 200);
  });

  test('refuses no good token before, during and after a rotation of keys', async () => {
    const old = await freshToken();
    assert.equal((await ask(old)).status, 200);
    const refused = [];
    const keys = new Set();
    const stopAt = { time: Date.now() + SUCCESSOR_WITHIN_MS };
    await administer(server, 'POST', '/keys/rotate', { algorithm: 'ES256' }, 200);
    while (Date.now() < stopAt.time) {
      const fresh = await freshToken();
      const known = keys.size;
      keys.add(keyOf(fresh));
      if (known === 1 && keys.size === 2) stopAt.time = Date.now() + AFTERWARDS_MS;
      for (const token of [fresh, old]) {
        const { status, text } = await ask(token);
        if (status !== 200) refused.push(`${keyOf(token)}: ${status} ${text}`);
      }
      await sleep(PACE_MS);
    }
    assert.deepEqual(refused, [], front.program.output);
    assert.equal(keys.size, 2, 'both the key and its successor have signed');
    assert.ok(keys.has(keyOf(old)));
  });
});

function keyOf(token) {
  return JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid;
}

/** The same token, signed by another key. */
async function forged(head, body) {
  const { key: { key } } = await keyPair({ name: 'ECDSA', namedCurve: 'P-256' }, 'ES256', 'forged');
  const text = new TextEncoder().encode(`${head}.${body}`);
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, text);
  return `${head}.${body}.${Buffer.from(signature).toString('base64url')}`;
}

/** An API that says what Envoy told it, and Envoy in front of it. */
async function startFront(server) {
  const api = createServer((request, response) => {
    response.end(JSON.stringify({ client: request.headers['x-client'], scope: request.headers['x-scope'] }));
  });
  await once(api.listen(0, '127.0.0.1'), 'listening');
  const [port] = await freePorts(1);
  const values = {
    PORT: port,
    ISSUER: server.issuer,
    ISSUER_PORT: new URL(server.issuer).port,
    API_PORT: api.address().port,
    AUDIENCE: API,
  };
  const folder = await mkdtemp(join(tmpdir(), 'keystead-envoy-'));
  const text = await readFile(CONFIGURATION, 'utf8');
  const path = join(folder, 'envoy.yaml');
  await writeFile(path, text.replace(/\$\{([A-Z_]+)\}/g, (whole, name) => values[name] ?? whole));
  const program = new Program(ENVOY, ['-c', path, '--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning']);
  const stop = async () => {
    await program.stop();
    api.closeAllConnections();
    api.close();
    await rm(folder, { recursive: true });
  };
  return { url: `http://127.0.0.1:${port}`, program, stop };
}
