// The admin API against its own OpenAPI document.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { startServer } from '../support/server.mjs';

const RUN = new URL('run', import.meta.url).pathname;
const OPERATOR = { client_id: 'demo-admin', client_secret: 'demo-admin-secret-0000000000000000000000' };

let server, folder;

before(async () => {
  server = await startServer();
  folder = await mkdtemp(join(tmpdir(), 'keystead-openapi-'));
});

after(async () => {
  await server?.stop();
  if (folder) await rm(folder, { recursive: true });
});

async function operatorsToken() {
  const body = new URLSearchParams({ grant_type: 'client_credentials', scope: 'keystead:admin', ...OPERATOR });
  const answer = await fetch(`${server.issuer}/oauth2/token`, { method: 'POST', body });
  assert.equal(answer.status, 200);
  return (await answer.json()).access_token;
}

test('the admin API does what its OpenAPI document says, and nothing else', async () => {
  const TOKEN = await operatorsToken();
  const authorization = { headers: { authorization: `Bearer ${TOKEN}` } };
  const document = join(folder, 'openapi.json');
  const served = await fetch(`${server.admin}/admin/v1/openapi.json`, authorization);
  await writeFile(document, await served.text());
  const env = { ...process.env, TOKEN, OPERATOR_CLIENT_ID: OPERATOR.client_id };
  const report = await new Promise((resolve) => {
    execFile(RUN, [server.admin, document], { env, timeout: 300_000, maxBuffer: 2 ** 24 }, (error, stdout, stderr) => {
      resolve({ failed: error !== null, text: `${stdout}\n${stderr}` });
    });
  });
  assert.ok(!report.failed, report.text);
  assert.match(report.text, /Tested: \d\d/);
  const clients = await fetch(`${server.admin}/admin/v1/clients`, authorization);
  assert.equal(clients.status, 200, 'the token was good until the end');
});
