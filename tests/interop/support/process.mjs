// Programs that a test starts beside Keystead: they end with the test, and what they wrote is told when they fail.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const STOP_DEADLINE_MS = 10_000;

/** A program in the foreground. `options` are those of node's spawn. */
export class Program {
  #child;
  #output = '';
  #exit;

  constructor(command, args, options = {}) {
    this.name = command;
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { this.#output += text; });
    }
    this.#exit = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      this.#child.once('close', (code, signal) => resolve(signal ?? code));
    });
    const end = () => this.#child.kill('SIGTERM');
    process.once('exit', end);
    this.#exit.then(() => process.off('exit', end));
  }

  /** What it wrote so far, to both of its streams. */
  get output() {
    return this.#output;
  }

  /** Its exit code, the name of a signal, or why it could not be started. */
  get ended() {
    return this.#exit;
  }

  /** Gives what it wrote once it has ended well. */
  async finished() {
    const how = await this.#exit;
    assert.equal(how, 0, `${this.name} ended with ${how}\n${this.#output}`);
    return this.#output;
  }

  /** Waits until `check` gives something; where the program ends before or time is up, it is stopped and the test fails. */
  async until(what, check, deadlineMs = 20_000) {
    const deadline = Date.now() + deadlineMs;
    let over;
    this.#exit.then((how) => { over = `ended with ${how}`; });
    while (over === undefined && Date.now() < deadline) {
      const found = await check();
      if (found) return found;
      await sleep(50);
    }
    const why = over ?? `had ${deadlineMs} ms`;
    await this.stop();
    return assert.fail(`no ${what} of ${this.name}, which ${why}\n${this.#output}`);
  }

  /** Ends it; one that does not listen is killed. */
  async stop() {
    this.#child.kill('SIGTERM');
    const inTime = await Promise.race([this.#exit.then(() => true), sleep(STOP_DEADLINE_MS, false, { ref: false })]);
    if (!inTime) this.#child.kill('SIGKILL');
    await this.#exit;
  }
}

/** Ports of 127.0.0.1 that nobody uses now. */
export async function freePorts(count) {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => listener.address().port);
  await Promise.all(listeners.map((listener) => once(listener.close(), 'close')));
  return ports;
}

/** Is something answering there? For `until`. */
export async function answers(url) {
  try {
    await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  }
}
