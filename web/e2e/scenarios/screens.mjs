// Every screen in light, dark and phone width: axe finds nothing (WCAG 2.2 AA), nothing is wider than
// the window, and with --out a picture of each is kept to be looked at.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join as joinPath } from 'node:path';
import { launchChromium } from '../browsers.mjs';
import { pause } from '../media.mjs';
import { join } from './talk.mjs';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

const LOOKS = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: {
    colorScheme: 'light',
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    hasTouch: true,
  },
  'phone-dark': {
    colorScheme: 'dark',
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    hasTouch: true,
  },
};

export const scenarios = Object.fromEntries(
  Object.entries(LOOKS).flatMap(([look, options]) => [
    [`screens are in order: ${look}, lobby`, (world) => lobby(world, look, options)],
    [`screens are in order: ${look}, call`, (world) => call(world, look, options)],
  ]),
);

async function lobby(world, look, options) {
  const tab = await world.chromium.open(options);
  await tab.goto(`${world.server.origin}/?room=kitchen&name=Ada`);
  await tab.sees('Speak to see');
  await pause(700);
  await check(world, tab, `${look}-lobby-2-open`);
  await tab.click('Camera');
  await tab.click('Microphone');
  await tab.fill('name', '   ');
  await tab.fill('room', '   ');
  await tab.click('Join');
  await tab.sees('Write the name that others will see.');
  await check(world, tab, `${look}-lobby-3-missing`);
  const denying = await launchChromium({ deny: true });
  try {
    const refused = await denying.open(options);
    await refused.goto(`${world.server.origin}/?room=kitchen&name=Ada`);
    await refused.sees('Nobody sees or hears you');
    await check(world, refused, `${look}-lobby-1-idle`);
    await refused.click('Join');
    await refused.sees('Camera and microphone are blocked');
    await check(world, refused, `${look}-lobby-4-denied`);
  } finally {
    await denying.close();
  }
  const invited = await world.chromium.open(options);
  await invited.goto(`${world.server.origin}/#token=${world.server.token('Ada', 'kitchen')}`);
  await invited.sees('Your invitation');
  await check(world, invited, `${look}-lobby-5-invited`);
}

async function call(world, look, options) {
  const room = `kitchen-${look}`;
  const tab = await world.chromium.open(options);
  await join(tab, world.server.origin, room, 'Ada Lovelace');
  await tab.sees('You are the first one here');
  await pause(700);
  await check(world, tab, `${look}-call-1-alone`);
  const ben = await world.chromium.open();
  await join(ben, world.server.origin, room, 'Ben');
  for (const name of ['Chidi Anagonye', 'دينا', 'A name that is far too long to fit on any tile at all']) {
    const other = await world.chromium.open({ viewport: { width: 400, height: 300 } });
    await other.goto(`${world.server.origin}/r/${room}`);
    await other.fill('name', name);
    await other.click('Join without camera and microphone');
    await other.sees('Leave', 15_000);
  }
  await tab.sees('5 people');
  await tab.until('pictures', () => [...document.querySelectorAll('video')].filter((v) => v.videoWidth > 0).length >= 2);
  await pause(1_500);
  await check(world, tab, `${look}-call-2-grid`);
  await tab.click('Microphone');
  await tab.click('Devices');
  await tab.sees('Single letters');
  await pause(300);
  await check(world, tab, `${look}-call-3-settings`);
  await tab.click('Close');
  await ben.click('Share');
  await tab.until('the share', () => document.querySelector('[data-share=Ben] video')?.videoWidth > 0);
  await pause(1_000);
  await check(world, tab, `${look}-call-4-share`);
  await ben.sees('You are sharing');
  await check(world, ben, `${look}-call-5-own-share`);
  await tab.page.keyboard.press('Control+Shift+L');
  await tab.sees('Leave the call?');
  await check(world, tab, `${look}-call-6-leave`);
  await tab.click('Stay');
  await tab.click('Leave');
  await tab.sees('You left the call');
  await check(world, tab, `${look}-call-7-left`);
}

export async function check(world, tab, name) {
  if (world.out !== '') await tab.page.screenshot({ path: joinPath(world.out, `${name}.png`) });
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name}: ${wide} px wider than the window`);
  const small = await tab.evaluate(smallTargets);
  assert.deepEqual(small, [], `${name}: targets under 44 px on touch or 24 px at all`);
  await tab.evaluate(AXE);
  const found = await tab.evaluate(
    async (tags) =>
      (await window.axe.run(document, { runOnly: tags })).violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`,
      ),
    TAGS,
  );
  assert.deepEqual(found, [], `${name}: axe`);
}

function smallTargets() {
  const least = navigator.maxTouchPoints > 0 ? 40 : 24;
  return [...document.querySelectorAll('button, select, input')]
    .map((one) => [one, (one.closest('label') ?? one).getBoundingClientRect()])
    .filter(([one, box]) => box.width > 0 && (box.height < least || box.width < least) && !one.closest('p'))
    .map(([one, box]) => `${one.innerText || one.ariaLabel} ${box.width}x${box.height}`);
}
