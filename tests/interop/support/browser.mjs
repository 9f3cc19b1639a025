// Chromium as a person with a keyboard and no mouse has it.
// Owns starting the browser and moving about; each page that is reached is checked for complaints and width.

import assert from 'node:assert/strict';

import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
// Chromium as root in a container has no sandbox; the rest keeps it from calling home.
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
// Chromium logs every 4xx; where the page itself is the refusal, that is what was asked for.
const REFUSED_DOCUMENT = /^Failed to load resource: .* status of 4\d\d/;
const WAIT_MS = 10_000;
const TAB_LIMIT = 60;

export function launchBrowser() {
  return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
}

/** One person: a fresh profile with its own window. `options` are playwright's context options. */
export async function openWindow(browser, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(WAIT_MS);
  return new Window(context, await context.newPage());
}

class Window {
  #messages = [];

  constructor(context, page) {
    this.context = context;
    this.page = page;
    page.on('pageerror', (error) => this.#messages.push({ text: `uncaught: ${error.message}`, url: page.url() }));
    page.on('console', (message) => {
      if (message.type() === 'error') this.#messages.push({ text: message.text(), url: message.location().url });
    });
  }

  async open(url) {
    await this.page.goto(url);
  }

  /** Waits for the element with this id (and text), then checks the page that has it. */
  async arriveAt(id, hasText) {
    await this.#seen(`#${id}`, this.page.locator(`#${id}`, { hasText }).waitFor());
    await this.assertSound();
  }

  async arriveAtText(text) {
    await this.#seen(`"${text}"`, this.page.getByText(text).first().waitFor());
    await this.assertSound();
  }

  /** No console error, no policy violation, nothing wider than the window. */
  async assertSound() {
    const where = new URL(this.page.url()).pathname;
    assert.deepEqual(this.#complaints(), [], `the browser complains at ${where}`);
    const [content, shown] = await this.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return [scrollWidth, clientWidth];
    });
    assert.ok(content <= shown, `${where} is ${content} px wide in a window of ${shown} px`);
  }

  /** Presses Tab until the element with this id has the focus. */
  async tabTo(id) {
    await this.#seen(`#${id} to use`, this.page.locator(`#${id}:enabled`).waitFor());
    for (let pressed = 0; pressed < TAB_LIMIT; pressed += 1) {
      if (await this.#focused() === id) return;
      await this.page.keyboard.press('Tab');
    }
    assert.fail(`#${id} at ${new URL(this.page.url()).pathname} is not reached by ${TAB_LIMIT} times Tab`);
  }

  async press(id) {
    await this.tabTo(id);
    await this.page.keyboard.press('Enter');
  }

  async typeInto(id, text) {
    await this.tabTo(id);
    await this.page.keyboard.type(text);
  }

  async signIn({ username, password }) {
    await this.arriveAt('username');
    await this.typeInto('username', username);
    await this.typeInto('password', password);
    await this.press('login-submit');
  }

  /** The first request to an address that begins so, even if nobody listens there. */
  async requestTo(prefix, action) {
    const request = this.page.waitForRequest((it) => it.url().startsWith(prefix));
    await this.#seen(`a request to ${prefix}`, Promise.all([request, action()]));
    return new URL((await request).url());
  }

  /** What is sent to a path of the server while `action` runs, once it was answered. */
  async answerFrom(path, action) {
    const isIt = (response) => new URL(response.url()).pathname === path && response.request().method() !== 'OPTIONS';
    const response = this.page.waitForResponse(isIt);
    await this.#seen(`an answer from ${path}`, Promise.all([response, action()]));
    return response;
  }

  /** Does `action` and waits until the document that it leads to is there. */
  async toNextPage(action) {
    await this.#seen('the next page', Promise.all([this.page.waitForEvent('load'), action()]));
    await this.assertSound();
  }

  text(id) {
    return this.page.locator(`#${id}`).innerText();
  }

  isVisible(id) {
    return this.page.locator(`#${id}`).isVisible();
  }

  close() {
    return this.context.close();
  }

  /** Says what was missing, where, and what the browser complained of. */
  async #seen(what, waiting) {
    try {
      await waiting;
    } catch (error) {
      const page = (await this.page.locator('body').innerText().catch(() => '')).slice(0, 400);
      const at = this.page.url();
      const complaints = this.#complaints().join('\n') || 'none';
      assert.fail(`waited in vain for ${what}: ${error.message}\npage ${at}: ${page}\ncomplaints: ${complaints}`);
    }
  }

  #complaints() {
    const here = this.page.url();
    const complaints = this.#messages.filter(({ text, url }) => !(url === here && REFUSED_DOCUMENT.test(text)));
    return complaints.map(({ text, url }) => `${text} (${url})`);
  }

  #focused() {
    return this.page.evaluate(() => document.activeElement?.id ?? '');
  }
}
