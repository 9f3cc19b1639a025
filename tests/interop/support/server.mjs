// A Keystead of one's own: `keystead dev --ephemeral` on free ports of 127.0.0.1.
// Owns the process from start to clean end; knows nothing of what it serves but its health.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { TLS } from './peer.mjs';
import { freePorts } from './process.mjs';

const REPOSITORY = new URL('../../../', import.meta.url).pathname;
const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 30_000;

/** Starts a server with these settings and waits until it is ready; throws with the server's output if it never is. */
export function startServer(settings = {}) {
  return start((port) => `http://127.0.0.1:${port}`, settings);
}

/** The same by https, with the certificate that `run` made and that node trusts. */
export function startTlsServer(settings = {}) {
  const tls = { KEYSTEAD__PUBLIC__TLS_CERTIFICATE: TLS.certificate, KEYSTEAD__PUBLIC__TLS_KEY: TLS.key };
  return start((port) => `https://localhost:${port}`, { ...tls, ...settings });
}

async function start(issuerAt, settings) {
  const [port, adminPort] = await freePorts(2);
  const server = new Server(issuerAt(port), port, adminPort, await mkdtemp(join(tmpdir(), 'keystead-interop-')));
  server.spawn(settings);
  await server.untilReady();
  return server;
}

class Server {
  #process;
  #folder;
  #output = '';
  #ended = null;

  constructor(issuer, port, adminPort, folder) {
    this.listen = `127.0.0.1:${port}`;
    this.adminListen = `127.0.0.1:${adminPort}`;
    /** The issuer, without a slash at its end. */
    this.issuer = issuer;
    /** The base of the admin listener, without a slash at its end. */
    this.admin = `http://${this.adminListen}`;
    this.#folder = folder;
  }

  spawn(settings) {
    const options = ['--ephemeral', '--issuer', this.issuer, '--listen', this.listen, '--admin-listen', this.adminListen];
    this.#process = spawn(binary(), ['dev', ...options], {
      cwd: this.#folder,
      env: { ...ownEnvironment(), ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { this.#output += text; });
    }
    this.#process.once('error', (error) => { this.#ended ??= `could not be started: ${error.message}`; });
    this.#process.once('exit', (code, signal) => { this.#ended ??= `ended with ${signal ?? `code ${code}`}`; });
    endWithThisProcess(this.#process);
  }

  async untilReady() {
    const deadline = Date.now() + START_DEADLINE_MS;
    let seen = 'no answer yet';
    while (Date.now() < deadline) {
      if (this.#ended !== null) return this.#giveUp(`the server ${this.#ended} before it was ready`);
      try {
        const answer = await fetch(`${this.admin}/health/ready`, { signal: AbortSignal.timeout(2_000) });
        if (answer.status === 200) return;
        seen = `${answer.status} ${await answer.text()}`;
      } catch (error) {
        seen = error.cause?.message ?? error.message;
      }
      await sleep(50);
    }
    return this.#giveUp(`${this.admin}/health/ready was not 200 in ${START_DEADLINE_MS} ms: ${seen}`);
  }

  async #giveUp(sentence) {
    await this.#terminate();
    await rm(this.#folder, { recursive: true });
    assert.fail(this.#account(sentence));
  }

  /** Ends the server as an operator would, and asserts that it ended cleanly and left nothing behind. */
  async stop() {
    assert.equal(this.#ended, null, this.#account('the server ended before it was told to'));
    const inTime = await this.#terminate();
    assert.ok(inTime, this.#account(`the server ignored SIGTERM for ${STOP_DEADLINE_MS} ms`));
    assert.equal(this.#process.exitCode, 0, this.#account(`after SIGTERM the server ${this.#ended}`));
    assert.deepEqual(await readdir(this.#folder), [], '--ephemeral leaves nothing in its working folder');
    await rm(this.#folder, { recursive: true });
  }

  /** SIGTERM, and SIGKILL when the deadline has passed; says whether the first was enough. */
  async #terminate() {
    if (this.#ended !== null) return true;
    const exit = once(this.#process, 'exit').then(() => true);
    this.#process.kill('SIGTERM');
    const inTime = await Promise.race([exit, sleep(STOP_DEADLINE_MS, false, { ref: false })]);
    if (!inTime) {
      this.#process.kill('SIGKILL');
      await exit;
    }
    return inTime;
  }

  #account(sentence) {
    return `${sentence}\n--- output of keystead dev ---\n${this.#output}---`;
  }
}

function binary() {
  return process.env.KEYSTEAD_BIN ?? join(REPOSITORY, 'target/debug/keystead');
}

/** The developer's own settings must not decide what is tested. */
function ownEnvironment() {
  const foreign = (name) => name.startsWith('KEYSTEAD_') || name === 'DATABASE_URL';
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign(name)));
}

/** A test file that dies or is interrupted takes its server along. */
function endWithThisProcess(child) {
  process.once('exit', () => child.kill('SIGTERM'));
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) process.once(signal, () => process.exit(code));
}
