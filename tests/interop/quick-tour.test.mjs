// README.md's quick tour, run as it stands, so that it stays true.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import { startServer } from './support/server.mjs';

const REPOSITORY = new URL('../../', import.meta.url);
const SCRIPT = new URL('tools/quick-tour.sh', REPOSITORY);

let server;

before(async () => {
  server = await startServer();
});

after(() => server?.stop());

/** Runs the script against these two addresses. */
function tour(issuer, admin) {
  const env = { ...process.env, ISSUER: issuer, ADMIN: admin };
  return new Promise((resolve) => {
    execFile(SCRIPT.pathname, { env, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code ?? error.signal, stdout, stderr });
    });
  });
}

test('the quick tour goes as it says', async () => {
  const { code, stdout, stderr } = await tour(server.issuer, server.admin);
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /The quick tour went as README\.md says\.\n$/);
});

test('the quick tour stops at a surprise and says what it ran', async () => {
  // The admin listener has no discovery document.
  const { code, stderr } = await tour(server.admin, server.admin);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /quick tour: a command failed\ncommands:\ncurl .*openid-configuration/);
});

test("README's quick tour shows no command that the script does not run", async () => {
  const shown = commandsIn(await readFile(new URL('README.md', REPOSITORY), 'utf8'));
  assert.ok(shown.some((line) => line.startsWith('curl ')), 'README.md has a quick tour between its markers');
  const run = new Set((await readFile(SCRIPT, 'utf8')).split('\n').map((line) => line.trim()));
  assert.deepEqual(shown.filter((line) => !run.has(line)), [], 'lines of README.md that tools/quick-tour.sh lacks');
});

/** The command lines, without remarks, between `<!-- quick tour -->` and `<!-- /quick tour -->`. */
function commandsIn(readme) {
  const [, section = ''] = readme.match(/<!-- quick tour -->(.*?)<!-- \/quick tour -->/s) ?? [];
  const blocks = [...section.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block);
  return blocks.flatMap((block) => block.split('\n')).map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}
