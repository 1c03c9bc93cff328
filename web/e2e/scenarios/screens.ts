// Every screen in light, dark and phone width: axe finds nothing (WCAG 2.2 AA), nothing is wider than
// the window, and with --out a picture of each is kept to be looked at.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join as joinPath } from 'node:path';
import type Axe from 'axe-core';
import type { BrowserContextOptions } from 'playwright-core';
import { launchChromium } from '../browsers';
import type { Tab } from '../browsers';
import { pause } from '../media';
import type { Scenarios, World } from '../world';
import { join } from './talk';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export type Look = 'light' | 'dark' | 'tablet' | 'tablet-dark' | 'phone' | 'phone-dark';

export const LOOKS: Readonly<Record<Look, BrowserContextOptions>> = {
  light: { colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  tablet: { colorScheme: 'light', viewport: { width: 820, height: 1180 }, hasTouch: true },
  'tablet-dark': { colorScheme: 'dark', viewport: { width: 820, height: 1180 }, hasTouch: true },
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

/** Wide and high, in CSS pixels. */
const WINDOWS = [
  [390, 844],
  [600, 800],
  [820, 860],
  [820, 1180],
  [1024, 700],
  [1440, 900],
] as const;

export const scenarios: Scenarios = {
  'lobby in order: light': (world) => lobby(world, 'light'),
  'lobby in order: dark': (world) => lobby(world, 'dark'),
  'lobby in order: phone': (world) => lobby(world, 'phone'),
  'lobby in order: phone-dark': (world) => lobby(world, 'phone-dark'),
  'lobby: Join is in sight': joinInSight,
  // The stage is dark in both themes, so one look at each width is enough for a call ...
  'call in order: light': (world) => call(world, 'light'),
  'call in order: phone-dark': (world) => call(world, 'phone-dark'),
  // ... but not for what comes after it.
  'last word in order: dark': (world) => ended(world, 'dark'),
  'last word in order: phone': (world) => ended(world, 'phone'),
};

export async function lobby(world: World, look: Look): Promise<void> {
  const tab = await world.chromium.open(LOOKS[look]);
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
    const refused = await denying.open(LOOKS[look]);
    await refused.goto(`${world.server.origin}/?room=kitchen&name=Ada`);
    await refused.sees('Nobody sees or hears you');
    await check(world, refused, `${look}-lobby-1-idle`);
    await refused.click('Join');
    await refused.sees('Camera and microphone are blocked');
    await check(world, refused, `${look}-lobby-4-denied`);
  } finally {
    await denying.close();
  }
  const invited = await world.chromium.open(LOOKS[look]);
  await invited.goto(`${world.server.origin}/#token=${world.server.token('Ada', 'kitchen')}`);
  await invited.sees('Your invitation');
  await check(world, invited, `${look}-lobby-5-invited`);
}

async function joinInSight(world: World): Promise<void> {
  const tab = await world.chromium.open();
  for (const [width, height] of WINDOWS) {
    await tab.page.setViewportSize({ width, height });
    await tab.goto(`${world.server.origin}/?room=kitchen&name=Ada`);
    await tab.sees('Speak to see');
    const place = await tab.page.getByRole('button', { name: 'Join', exact: true }).boundingBox();
    const end = place === null ? Infinity : place.y + place.height;
    assert.ok(end <= height, `${width} x ${height}: Join ends at ${end}`);
  }
}

async function call(world: World, look: Look): Promise<void> {
  const room = `kitchen-${look}`;
  const tab = await world.chromium.open(LOOKS[look]);
  await join(tab, world.server.origin, room, 'Ada Lovelace');
  await tab.sees('You are the first one here');
  await pause(700);
  await check(world, tab, `${look}-call-1-alone`);
  const ben = await world.chromium.open();
  await join(ben, world.server.origin, room, 'Ben');
  const other = await world.chromium.open({ viewport: { width: 400, height: 300 } });
  // Somebody who only fills a tile: every picture costs a lot without a graphics card.
  const name = 'A name that is far too long to fit on any tile at all';
  const token = world.server.token(name, room, { grant: { canSubscribe: false } });
  await other.goto(`${world.server.origin}/#token=${token}`);
  await other.click('Join without camera and microphone');
  await other.inCall();
  await tab.sees('3 people');
  await tab.shows('[data-person=Ben] video');
  await pause(1_500);
  await check(world, tab, `${look}-call-2-grid`);
  await tab.click('Microphone');
  await tab.click('Devices');
  await tab.sees('Single letters');
  await pause(300);
  await check(world, tab, `${look}-call-3-settings`);
  await tab.click('Close');
  await ben.click('Share');
  await tab.shows('[data-share=Ben] video');
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

async function ended(world: World, look: Look): Promise<void> {
  const tab = await world.chromium.open(LOOKS[look]);
  const token = world.server.token('ada', `ended-${look}`);
  await tab.goto(`${world.server.origin}/#token=${token}`);
  await tab.click('Join without camera and microphone');
  await tab.inCall();
  await world.server.admin('RemoveParticipant', { room: `ended-${look}`, identity: 'ada' });
  await tab.sees('You were removed from the call');
  await check(world, tab, `${look}-ended-removed`);
}

export async function check(world: World, tab: Tab, name: string): Promise<void> {
  if (world.out !== '') await tab.page.screenshot({ path: joinPath(world.out, `${name}.png`) });
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name}: ${wide} px wider than the window`);
  const small = await tab.evaluate(smallTargets);
  assert.deepEqual(small, [], `${name}: targets under 44 px on touch or 24 px at all`);
  await tab.page.evaluate(AXE);
  const found = await tab.evaluate(violations, TAGS);
  assert.deepEqual(found, [], `${name}: axe`);
}

async function violations(tags: string[]): Promise<string[]> {
  const { axe } = window as unknown as { axe: typeof Axe };
  const result = await axe.run(document, { runOnly: tags });
  return result.violations.map(({ id, nodes }) => {
    const places = nodes.map((node) => `${node.html} ${node.failureSummary ?? ''}`);
    return `${id}: ${places.join(' | ')}`;
  });
}

function smallTargets(): string[] {
  const least = navigator.maxTouchPoints > 0 ? 40 : 24;
  const all = [...document.querySelectorAll<HTMLElement>('button, select, input, summary')];
  return all.flatMap((one) => {
    const { width, height } = (one.closest('label') ?? one).getBoundingClientRect();
    // What stands in a line of text may be as small as the text (WCAG 2.5.8).
    const fine = width === 0 || (width >= least && height >= least) || one.closest('p') !== null;
    return fine ? [] : [`${one.innerText} ${width}x${height}`];
  });
}
