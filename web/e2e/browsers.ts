// Real browsers behind one small face: Chromium through playwright-core, Firefox through puppeteer-core
// (WebDriver BiDi). A Tab clicks like a person, by the words on the button.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { chromium } from 'playwright-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { launch } from 'puppeteer-core';
import type { Page as FirefoxPage } from 'puppeteer-core';
import { pause, recordConnections } from './media';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

const CHROMIUM_ARGS = [
  '--no-sandbox',
  // Fewer pictures a second, since without a graphics card each costs a lot. Three cameras, because
  // Chromium's second one makes pictures (16-bit grey) that WebRTC does not send.
  '--use-fake-device-for-media-stream=device-count=3,fps=15',
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--autoplay-policy=no-user-gesture-required',
  '--auto-select-desktop-capture-source=Entire screen',
  // The development certificate is nobody's; passkeys want to hear it from the command line.
  '--ignore-certificate-errors',
  // Nothing of the browser itself may try to leave the machine.
  '--disable-background-networking',
  '--disable-component-update',
];

/** Small tiles ask for small pictures, and nobody encodes large ones that nobody watches. */
const SMALL = { width: 720, height: 540 };

const FIREFOX_PREFS = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.autoplay.default': 0,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

export interface Browser {
  open(options?: BrowserContextOptions): Promise<Tab>;
  close(): Promise<void>;
}

/** Chromium without a prompt for devices, or (`deny`) one that refuses them. */
export async function launchChromium({ deny = false } = {}): Promise<Browser> {
  const answer = deny ? '--deny-permission-prompts' : '--use-fake-ui-for-media-stream';
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [...CHROMIUM_ARGS, answer],
  });
  const open = async (options: BrowserContextOptions = {}) => {
    const context = await browser.newContext({
      viewport: SMALL,
      ...options,
    });
    await context.addInitScript(recordConnections);
    const page = await context.newPage();
    return new Tab(page, () => context.close());
  };
  return { open, close: () => browser.close() };
}

/** Firefox with a display of its own: without one it cannot share a screen. */
export async function launchFirefox({ deny = false } = {}): Promise<Browser> {
  const display = await startDisplay();
  const denied = { 'permissions.default.camera': 2, 'permissions.default.microphone': 2 };
  const browser = await launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: false,
    acceptInsecureCerts: true,
    env: { ...process.env, DISPLAY: display.name, MOZ_DISABLE_CONTENT_SANDBOX: '1' },
    extraPrefsFirefox: deny
      ? { ...FIREFOX_PREFS, ...denied, 'media.navigator.permission.disabled': false }
      : FIREFOX_PREFS,
  });
  const open = async () => {
    const page = await browser.newPage();
    await page.evaluateOnNewDocument(recordConnections);
    return new Tab(asPlaywright(page), () => page.close());
  };
  const close = async () => {
    await browser.close();
    display.stop();
  };
  return { open, close };
}

async function startDisplay(): Promise<{ name: string; stop: () => void }> {
  const child = spawn(
    'Xvfb',
    ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'],
    {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    },
  );
  const [number] = (await once(child.stdio[3] as Readable, 'data')) as [Buffer];
  return { name: `:${number.toString().trim()}`, stop: () => void child.kill() };
}

function asPlaywright(page: FirefoxPage): Page {
  return page as unknown as Page;
}

let marks = 0;

/** One page. Everything is found by what a person or a screen reader would call it. */
export class Tab {
  readonly errors: string[] = [];
  /** Every host that the page asked for something. */
  readonly hosts = new Set<string>();

  constructor(
    /** Both libraries' pages have what is used here; the types are Playwright's. */
    readonly page: Page,
    private readonly dispose: () => Promise<void>,
  ) {
    page.on('request', (request) => this.hosts.add(new URL(request.url()).host));
    page.on('pageerror', (error) => this.errors.push(String(error)));
  }

  close(): Promise<void> {
    return this.dispose();
  }

  async goto(url: string): Promise<void> {
    await this.page.goto(url, { waitUntil: 'load' });
  }

  evaluate<T, A = undefined>(work: (argument: A) => T | Promise<T>, argument?: A): Promise<T> {
    return this.page.evaluate(work as (argument: unknown) => T, argument);
  }

  /** Waits until `work` returns something true in the page, and returns it. */
  async until<A = undefined>(
    what: string,
    work: (argument: A) => boolean,
    argument?: A,
    ms = 10_000,
  ): Promise<void> {
    const end = Date.now() + ms;
    let last = '';
    while (Date.now() < end) {
      try {
        if (await this.evaluate(work, argument)) return;
        last = 'not yet';
      } catch (error) {
        last = String(error);
      }
      await pause(50);
    }
    const text = await this.text();
    throw new Error(`waited ${ms} ms in vain for: ${what} (${last})\n--- page ---\n${text}`);
  }

  text(): Promise<string> {
    return this.evaluate(() => document.body.innerText);
  }

  sees(words: string, ms?: number): Promise<void> {
    const found = (wanted: string): boolean => document.body.innerText.includes(wanted);
    return this.until(`"${words}" on the page`, found, words, ms);
  }

  async fill(name: string, value: string): Promise<void> {
    const { keyboard } = this.page;
    await this.page.click(`input[name=${name}]`);
    // Both libraries have this, and not the same word for a triple click.
    await keyboard.down('Control');
    await keyboard.press('a');
    await keyboard.up('Control');
    await keyboard.press('Backspace');
    await keyboard.type(value);
  }

  /** The controls of a call are there. */
  inCall(ms = 30_000): Promise<void> {
    return this.until(
      'a call',
      () => document.querySelector('[role=toolbar]') !== null,
      undefined,
      ms,
    );
  }

  /** Frames of a picture have arrived in the <video> that the selector finds. */
  async shows(selector: string, ms = 30_000): Promise<void> {
    const found = (wanted: string): boolean =>
      (document.querySelector<HTMLVideoElement>(wanted)?.videoWidth ?? 0) > 0;
    await this.until(`a picture in ${selector}`, found, selector, ms);
  }

  /** Nothing on the page fits the selector any more. */
  async loses(selector: string, ms?: number): Promise<void> {
    const gone = (wanted: string): boolean => document.querySelector(wanted) === null;
    await this.until(`no ${selector}`, gone, selector, ms);
  }

  /** Clicks the button that carries these words, as its text or as its label. */
  async click(words: string): Promise<void> {
    marks += 1;
    const mark = String(marks);
    await this.until(
      `a button "${words}"`,
      ({ wanted, mark: id }) => {
        const all = [...document.querySelectorAll('button')];
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

  pressed(words: string): Promise<string | null | undefined> {
    return this.evaluate((wanted: string) => {
      const all = [...document.querySelectorAll<HTMLButtonElement>('button[aria-pressed]')];
      const named = all.find(
        (b) => (b.getAttribute('aria-label') ?? b.innerText.trim()) === wanted,
      );
      return named?.getAttribute('aria-pressed');
    }, words);
  }
}
