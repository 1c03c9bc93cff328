// The pages in a language that is longer and runs from right to left: nothing is cut off, nothing sticks out.
import assert from 'node:assert/strict';
import { invitation } from '../accounts';
import type { Tab } from '../browsers';
import { speakPseudo } from '../pseudo';
import type { Scenarios, World } from '../world';
import { LOOKS, check } from './screens';
import type { Look } from './screens';

export const scenarios: Scenarios = {
  'a longer language from right to left: light': (world) => everyScreen(world, 'light'),
  'a longer language from right to left: phone': (world) => everyScreen(world, 'phone'),
};

async function everyScreen(world: World, look: Look): Promise<void> {
  const tab = await world.chromium.open({ ...LOOKS[look], ignoreHTTPSErrors: true });
  await tab.page.addInitScript(speakPseudo);
  const picture = (name: string): Promise<void> => check(world, tab, `rtl-${look}-${name}`);
  await tab.goto(`${world.secure}/?room=kitchen&name=${encodeURIComponent('عائشة')}`);
  await shows(tab, 'meter, [role=meter]');
  assert.equal(await tab.evaluate(() => document.dir), 'rtl');
  await picture('1-lobby');
  await tab.page.click('button[type=submit]');
  await tab.inCall();
  await tab.page.click('[data-stop=settings]');
  await shows(tab, 'dialog');
  await picture('2-call');
  await tab.goto(`${world.secure}/sign-in`);
  await shows(tab, 'input[name=password]');
  await tab.page.click('button[type=submit]');
  await picture('3-sign-in');
  await tab.goto(await invitation(world));
  await shows(tab, 'input[name=password]');
  await tab.fill('login', `fatima.${Date.now() % 1_000_000}`);
  await tab.fill('password', 'short');
  await tab.page.click('button[type=submit]');
  await picture('4-join');
  await tab.fill('password', 'plum quartz violin ember');
  await tab.page.click('button[type=submit]');
  await shows(tab, '[data-login]');
  await tab.goto(`${world.secure}/settings`);
  await shows(tab, '[data-part=leave]');
  await picture('5-settings');
}

async function shows(tab: Tab, selector: string): Promise<void> {
  const found = (wanted: string): boolean => document.querySelector(wanted) !== null;
  await tab.until(selector, found, selector);
}
