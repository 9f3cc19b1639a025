// Apache with mod_auth_openidc in front of a page, and Chromium before it: sign-in, refresh, and both kinds of logout.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { launchBrowser, openWindow } from '../support/browser.mjs';
import { withFiles } from '../support/peer.mjs';
import { DEMO } from '../support/person.mjs';
import { Program, answers, freePorts } from '../support/process.mjs';
import { createClient } from '../support/relying-party.mjs';
import { startServer } from '../support/server.mjs';

const HERE = new URL('.', import.meta.url).pathname;
const APACHE = '/usr/sbin/apache2';
const MODULES = '/usr/lib/apache2/modules';
const TOLD_WITHIN_MS = 15_000;

describe('Apache with mod_auth_openidc', withFiles(APACHE, `${MODULES}/mod_auth_openidc.so`), () => {
  let server, browser, site;

  before(async () => {
    server = await startServer({ KEYSTEAD__OUTBOUND__ALLOW_LOOPBACK: 'true' });
    browser = await launchBrowser();
    site = await startSite(server);
  });

  after(async () => {
    await browser?.close();
    await site?.stop();
    await server?.stop();
  });

  /** A window that has signed in to the private page, for the first time or again. */
  async function signedIn(t) {
    const window = await openWindow(browser);
    t.after(() => window.close());
    await window.open(`${site.url}/private`);
    await window.signIn(DEMO);
    await window.arriveAt('consent-allow');
    await window.press('consent-allow');
    await window.arriveAtText('A private page');
    return window;
  }

  /** Where the private page leads: to itself while the site knows the person, otherwise to Keystead. */
  async function originOfPrivatePage(window) {
    await window.open(`${site.url}/private`);
    return new URL(window.page.url()).origin;
  }

  test('knows who signed in', async (t) => {
    const window = await signedIn(t);
    assert.equal(window.page.url(), `${site.url}/private`);
    assert.equal(await window.text('email'), DEMO.username);
    assert.equal(await window.text('issuer'), server.issuer);
    assert.match(await window.text('subject'), /^[0-9a-f-]{36}$/);
    assert.equal(await originOfPrivatePage(window), site.url);
  });

  test('refreshes, and again with the successor', async (t) => {
    const window = await signedIn(t);
    const seen = new Set([await window.text('access-token')]);
    for (let count = 2; count <= 4; count += 1) {
      await window.open(`${site.url}/private/fresh`);
      seen.add(await window.text('access-token'));
      assert.equal(seen.size, count, site.program.output);
    }
    assert.ok([...seen].every((token) => token.split('.').length === 3));
  });

  test('signs out here and at Keystead, and comes back', async (t) => {
    const window = await signedIn(t);
    await window.open(`${site.url}/callback?logout=${encodeURIComponent(`${site.url}/public`)}`);
    if (await window.isVisible('logout-confirm')) await window.press('logout-confirm');
    await window.arriveAtText('A public page');
    assert.equal(await originOfPrivatePage(window), server.issuer);
    await window.arriveAt('username');
  });

  test('hears of a logout at Keystead by the back channel', async (t) => {
    const [here, elsewhere] = [await signedIn(t), await signedIn(t)];
    await here.open(`${server.issuer}/oauth2/end_session`);
    await here.press('logout-confirm');
    await here.arriveAtText('You are signed out');
    const deadline = Date.now() + TOLD_WITHIN_MS;
    while (await originOfPrivatePage(here) === site.url) {
      assert.ok(Date.now() < deadline, `the site was not told:\n${site.program.output}`);
      await sleep(200);
    }
    assert.equal(await originOfPrivatePage(elsewhere), site.url, 'the session of another browser stays');
  });
});

/** Registers the site as a client and starts Apache on a port and in a folder of its own. */
async function startSite(server) {
  const [port] = await freePorts(1);
  const url = `http://localhost:${port}`;
  const { client_id: id, client_secret: secret } = await createClient(server, {
    client_name: 'Interop site',
    redirect_uris: [`${url}/callback`],
    post_logout_redirect_uris: [`${url}/public`],
    backchannel_logout_uri: `${url}/callback?logout=backchannel`,
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_basic',
    scope: 'openid profile email offline_access',
  });
  const folder = await mkdtemp(join(tmpdir(), 'keystead-apache-'));
  // Apache's workers are another user when it is started by root.
  await chmod(folder, 0o755);
  await cp(join(HERE, 'pages'), join(folder, 'pages'), { recursive: true });
  const program = new Program(APACHE, ['-D', 'FOREGROUND', '-f', join(HERE, 'httpd.conf')], {
    env: {
      FOLDER: folder,
      MODULES,
      PORT: String(port),
      ISSUER: server.issuer,
      CLIENT_ID: id,
      CLIENT_SECRET: secret,
      PASSPHRASE: randomBytes(24).toString('hex'),
    },
  });
  const stop = async () => {
    await program.stop();
    await rm(folder, { recursive: true });
  };
  await program.until('answer', () => answers(`${url}/public`));
  return { url, program, stop };
}
