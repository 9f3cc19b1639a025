// oidc-agent, a program for the command line that keeps tokens: it is set up by the device flow, as a client that an operator
// registered or that it registers itself, and then gives out access tokens.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { TLS, withFiles } from '../support/peer.mjs';
import { DEMO, Person } from '../support/person.mjs';
import { Program } from '../support/process.mjs';
import { createClient } from '../support/relying-party.mjs';
import { startTlsServer } from '../support/server.mjs';

const AGENT = '/usr/bin/oidc-agent';
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const SCOPE = 'openid profile email offline_access';
const SETTLED = ['--prompt=none', '--pw-env', '--confirm-default', '--no-url-call'];

// Together, since each waits five seconds between its polls.
describe('oidc-agent', { concurrency: true, ...withFiles(AGENT, TLS.certificate) }, () => {
  let server;

  before(async () => {
    server = await startTlsServer({
      KEYSTEAD__REGISTRATION__ALLOWED_GRANT_TYPES: `authorization_code,refresh_token,${DEVICE}`,
    });
  });

  after(() => server?.stop());

  /** Sets an account up, allows it as the person, and uses its tokens. */
  async function setUpAndUse(agent, options) {
    const told = ['--issuer', server.issuer, '--flow=device', `--scope=${SCOPE}`, `--cp=${TLS.authority}`];
    const generator = agent.run('oidc-gen', ['keystead', ...told, ...SETTLED, ...options]);
    const code = () => generator.output.match(/enter the code: (\S+)/)?.[1];
    const userCode = await generator.until('code for the person', code);
    const address = generator.output.match(/visit:\s+(\S+)/)[1];
    await new Person(server).connectDevice(address, userCode);
    await generator.finished();

    const token = (...more) => agent.run('oidc-token', [...more, 'keystead']).finished();
    const first = (await token()).trim();
    const second = (await token('--force-new')).trim();
    const third = (await token('--force-new')).trim();
    assert.equal(new Set([first, second, third]).size, 3, 'each refresh gives another token');
    for (const accessToken of [first, second, third]) {
      const response = await fetch(`${server.issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${accessToken}` } });
      assert.equal(response.status, 200, accessToken);
      assert.equal((await response.json()).email, DEMO.username);
    }
  }

  const registrations = [
    ['without a secret', { token_endpoint_auth_method: 'none', application_type: 'native' }],
    ['with a secret', { token_endpoint_auth_method: 'client_secret_basic' }],
  ];
  for (const [name, metadata] of registrations) {
    test(`as a client ${name} that an operator registered`, async (t) => {
      const { client_id: id, client_secret: secret = '' } = await createClient(server, {
        client_name: 'Interop agent',
        grant_types: [DEVICE, 'refresh_token'],
        scope: SCOPE,
        ...metadata,
      });
      await setUpAndUse(await startAgent(t), [`--client-id=${id}`, `--client-secret=${secret}`]);
    });
  }

  test('as a client that registers itself', async (t) => {
    // Without this it asks for a redirect URI of a scheme of its own as well, which only installed applications may have, and
    // says that it is a web application.
    await setUpAndUse(await startAgent(t), ['--redirect-uri=http://localhost:4242']);
  });
});

/** An agent with a folder of its own that ends with the test. */
async function startAgent(t) {
  const folder = await mkdtemp(join(tmpdir(), 'keystead-agent-'));
  const socket = join(folder, 'socket', 'agent');
  await mkdir(join(folder, 'socket'));
  await mkdir(join(folder, 'accounts'));
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    OIDC_CONFIG_DIR: join(folder, 'accounts'),
    OIDC_SOCK: socket,
    OIDC_ENCRYPTION_PW: 'only for this test',
  };
  const agent = new Program(AGENT, ['--console', `--socket-path=${socket}`], { env });
  t.after(async () => {
    await agent.stop();
    await rm(folder, { recursive: true });
  });
  await agent.until('socket', () => existsSync(socket));
  return { run: (command, args) => new Program(command, args, { env }) };
}
