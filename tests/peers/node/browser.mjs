// A browser with the test page in it: `node browser.mjs chromium|firefox PAGE.js`. Every command is a
// call of the page's `peer` object, so Chromium and Firefox are driven alike (puppeteer, CDP and BiDi).
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import puppeteer from 'puppeteer-core';
import { serve } from './lines.mjs';

const [engine, bundle] = process.argv.slice(2);
const script = readFileSync(bundle);
const site = createServer((request, response) => {
  const isScript = request.url === '/page.js';
  response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
  response.end(isScript ? script : '<!doctype html><meta charset=utf-8><title>peer</title><body><script src=/page.js></script>');
});
await new Promise((done) => site.listen(0, '127.0.0.1', done));

const options = {
  chromium: {
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      '--allow-loopback-in-peer-connection',
      '--disable-features=WebRtcHideLocalIpsWithMdns',
      '--autoplay-policy=no-user-gesture-required',
      '--disable-background-networking',
      '--disable-component-update',
      '--ignore-certificate-errors',
      '--no-first-run',
    ],
  },
  firefox: {
    browser: 'firefox',
    executablePath: '/usr/bin/firefox-esr',
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.peerconnection.ice.loopback': true,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.autoplay.default': 0,
      'media.autoplay.blocking_policy': 0,
      'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false,
      'app.normandy.enabled': false,
      'datareporting.policy.dataSubmissionEnabled': false,
      'toolkit.telemetry.enabled': false,
      'browser.safebrowsing.malware.enabled': false,
      'browser.safebrowsing.phishing.enabled': false,
      'media.gmp-manager.updateEnabled': false,
      'extensions.update.enabled': false,
      'services.settings.server': 'data:,#remote-settings-dummy/v1',
    },
  },
}[engine];

const browser = await puppeteer.launch({ headless: true, acceptInsecureCerts: true, protocolTimeout: 60_000, ...options });
const page = await browser.newPage();
page.on('console', (message) => process.stderr.write(`${message.type()}: ${message.text()}\n`));
page.on('pageerror', (error) => process.stderr.write(`page error: ${error}\n`));
await page.goto(`http://127.0.0.1:${site.address().port}/`);

const names = ['join', 'publish', 'encoder', 'unpublish', 'quality', 'subscribe', 'send', 'rpc', 'text', 'bytes', 'stats', 'transport', 'simulate', 'reset_gap'];
const handlers = Object.fromEntries(
  names.map((name) => [name, (args) => page.evaluate((method, given) => window.peer[method](given), name, args)]),
);
handlers.leave = async () => {
  await page.evaluate(() => window.peer.leave());
  await browser.close();
};
handlers.pid = async () => ({ pid: browser.process().pid });
serve(handlers);
