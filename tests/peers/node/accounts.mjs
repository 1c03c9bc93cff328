// A real Chromium with a virtual authenticator on a page of the server: `node accounts.mjs URL`.
// Requests and WebAuthn calls are the page's own, with its cookies and its origin.
import puppeteer from 'puppeteer-core';
import { serve } from './lines.mjs';

const browser = await puppeteer.launch({
  headless: true,
  acceptInsecureCerts: true,
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--ignore-certificate-errors', '--disable-background-networking', '--no-first-run'],
});
const page = await browser.newPage();
await page.goto(process.argv[2], { waitUntil: 'domcontentloaded' });
const devtools = await page.createCDPSession();
await devtools.send('WebAuthn.enable', { enableUI: false });

process.on('exit', () => browser.process()?.kill('SIGKILL'));

serve({
  authenticator: ({ verifies }) =>
    devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: verifies,
        automaticPresenceSimulation: true,
      },
    }),
  ask: ({ method, path, body }) =>
    page.evaluate(
      async (method, path, body) => {
        const answer = await fetch(`/api/v1${path}`, {
          method,
          headers: body ? { 'Content-Type': 'application/json' } : {},
          body: body ? JSON.stringify(body) : undefined,
        });
        const text = await answer.text();
        return { status: answer.status, body: text ? JSON.parse(text) : null };
      },
      method,
      path,
      body,
    ),
  create: ({ options }) =>
    page.evaluate(async (options) => {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
      return (await navigator.credentials.create({ publicKey })).toJSON();
    }, options),
  get: ({ options }) =>
    page.evaluate(async (options) => {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
      return (await navigator.credentials.get({ publicKey })).toJSON();
    }, options),
  scripts: () => page.evaluate(() => ({ cookie: document.cookie, kept: Object.keys(localStorage) })),
});
