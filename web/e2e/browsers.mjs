// Real browsers behind one small face: Chromium through playwright-core, Firefox through puppeteer-core
// (WebDriver BiDi). A Tab clicks like a person, by the words on the button.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import puppeteer from 'puppeteer-core';
import { chromium } from 'playwright-core';
import { recordConnections } from './media.mjs';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--use-fake-device-for-media-stream=device-count=2',
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--autoplay-policy=no-user-gesture-required',
  '--auto-select-desktop-capture-source=Entire screen',
  // Nothing of the browser itself may try to leave the machine.
  '--disable-background-networking',
  '--disable-component-update',
];

const FIREFOX_PREFS = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.autoplay.default': 0,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

/** Chromium without a prompt for devices, or (`deny`) one that refuses them. */
export async function launchChromium({ deny = false } = {}) {
  const answer = deny ? '--deny-permission-prompts' : '--use-fake-ui-for-media-stream';
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [...CHROMIUM_ARGS, answer],
  });
  const open = async (options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    await context.addInitScript(recordConnections);
    const page = await context.newPage();
    return new Tab(page, () => context.close());
  };
  return { name: 'chromium', open, close: () => browser.close() };
}

/** Firefox with a display of its own: without one it cannot share a screen. */
export async function launchFirefox({ deny = false } = {}) {
  const display = await startDisplay();
  const denied = { 'permissions.default.camera': 2, 'permissions.default.microphone': 2 };
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: false,
    env: { ...process.env, DISPLAY: display.name, MOZ_DISABLE_CONTENT_SANDBOX: '1' },
    extraPrefsFirefox: deny
      ? { ...FIREFOX_PREFS, ...denied, 'media.navigator.permission.disabled': false }
      : FIREFOX_PREFS,
  });
  const open = async () => {
    const page = await browser.newPage();
    await page.evaluateOnNewDocument(recordConnections);
    return new Tab(page, () => page.close());
  };
  const close = async () => {
    await browser.close();
    display.stop();
  };
  return { name: 'firefox', open, close };
}

async function startDisplay() {
  const child = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const [number] = await once(child.stdio[3], 'data');
  return { name: `:${String(number).trim()}`, stop: () => child.kill() };
}

let marks = 0;

/** One page. Everything is found by what a person or a screen reader would call it. */
export class Tab {
  constructor(page, dispose) {
    this.page = page;
    this.dispose = dispose;
    this.errors = [];
    page.on('pageerror', (error) => this.errors.push(String(error)));
  }

  close() {
    return this.dispose();
  }

  goto(url) {
    return this.page.goto(url, { waitUntil: 'load' });
  }

  evaluate(work, argument) {
    return this.page.evaluate(work, argument);
  }

  /** Waits until `work` returns something true in the page, and returns it. */
  async until(what, work, argument, ms = 10_000) {
    const end = Date.now() + ms;
    let last = null;
    while (Date.now() < end) {
      last = await this.page.evaluate(work, argument).catch((error) => String(error));
      if (last && typeof last !== 'string') return last;
      await new Promise((done) => setTimeout(done, 50));
    }
    const text = await this.text();
    throw new Error(`waited ${ms} ms in vain for: ${what} (last: ${last})\n--- page ---\n${text}`);
  }

  text() {
    return this.page.evaluate(() => document.body.innerText);
  }

  sees(words, ms) {
    return this.until(`"${words}" on the page`, (wanted) => document.body.innerText.includes(wanted), words, ms);
  }

  fill(name, value) {
    return this.type(`input[name=${name}]`, value);
  }

  async type(selector, value) {
    await this.page.click(selector, { clickCount: 3 });
    await this.page.keyboard.press('Backspace');
    await this.page.keyboard.type(value);
  }

  /** Clicks the button that carries these words, as its text or as its label. */
  async click(words) {
    marks += 1;
    const mark = String(marks);
    await this.until(
      `a button "${words}"`,
      ({ wanted, mark: id }) => {
        const all = [...document.querySelectorAll('dialog[open] button, button')];
        const named = all.find((button) => {
          const name = button.getAttribute('aria-label') ?? button.innerText.trim();
          return name === wanted && !button.disabled && button.closest('[inert]') === null;
        });
        named?.setAttribute('data-e2e', id);
        return named !== undefined;
      },
      { wanted: words, mark },
    );
    await this.page.click(`[data-e2e="${mark}"]`);
  }

  pressed(words) {
    return this.page.evaluate((wanted) => {
      const all = [...document.querySelectorAll('button[aria-pressed]')];
      const named = all.find((b) => (b.getAttribute('aria-label') ?? b.innerText.trim()) === wanted);
      return named?.getAttribute('aria-pressed');
    }, words);
  }
}
