// Every page of accounts in light, dark and phone width, as screens.ts looks at the call's.
import assert from 'node:assert/strict';
import { asOwner, authenticator, guestLink, invitation } from '../accounts';
import type { Tab } from '../browsers';
import { appRequest, confirmApp, follow, signIn, signOut, signUp } from '../people';
import type { Scenarios, World } from '../world';
import { LOOKS, check, lobby } from './screens';
import type { Look } from './screens';

export const scenarios: Scenarios = {
  'pages of accounts in order: light': (world) => everyPage(world, 'light'),
  'pages of accounts in order: phone-dark': (world) => everyPage(world, 'phone-dark'),
};

/** The same in the looks that differ from those in size or colour alone; for people to look at. */
export const pictures: Scenarios = {
  'pages of accounts in order: dark': (world) => everyPage(world, 'dark'),
  'pages of accounts in order: phone': (world) => everyPage(world, 'phone'),
  'pages of accounts in order: tablet': (world) => everyPage(world, 'tablet'),
  'pages of accounts in order: tablet-dark': (world) => everyPage(world, 'tablet-dark'),
  'lobby in order: tablet': (world) => lobby(world, 'tablet'),
  'lobby in order: tablet-dark': (world) => lobby(world, 'tablet-dark'),
};

async function everyPage(world: World, look: Look): Promise<void> {
  const tab = await world.chromium.open({ ...LOOKS[look], ignoreHTTPSErrors: true });
  const picture = (name: string): Promise<void> => check(world, tab, `${look}-${name}`);
  const login = `mary.${look.replace('-', '.')}`;
  await authenticator(tab);
  await begin(world, tab, login, picture);
  await settings(world, tab, picture);
  await comeBack(world, tab, login, picture);
  await strangers(world, tab, picture);
}

type Picture = (name: string) => Promise<void>;

async function begin(world: World, tab: Tab, login: string, picture: Picture): Promise<void> {
  await tab.goto(await invitation(world));
  await tab.sees('Create account with a passkey');
  await picture('accounts-01-join');
  await tab.click('Create account');
  await tab.sees('Write your login name.');
  await picture('accounts-02-join-missing');
  await signUp(tab, login, 'Mary Somerville');
  await tab.sees('Your account is ready');
  await picture('accounts-03-ready');
  await tab.click('Go on');
  await tab.sees('Speak to see');
  await picture('accounts-04-lobby');
}

/** The choice is kept on this device, whatever the system says. */
async function themes(tab: Tab): Promise<void> {
  const scheme = (): string => getComputedStyle(document.documentElement).colorScheme;
  const select = tab.page.getByLabel('Appearance');
  for (const theme of ['dark', 'light']) {
    await select.selectOption(theme);
    assert.equal(await tab.evaluate(scheme), theme);
  }
  await tab.page.reload();
  await tab.sees('Appearance');
  assert.equal(await tab.evaluate(scheme), 'light');
  await select.selectOption('system');
  assert.equal(await tab.evaluate(scheme), 'light dark');
}

async function settings(world: World, tab: Tab, picture: Picture): Promise<void> {
  await tab.goto(`${world.secure}/settings/password`);
  await tab.sees('Current password');
  await themes(tab);
  await tab.sees('Current password');
  await tab.click('Set up an authenticator app');
  await tab.sees('Scan this picture');
  await picture('accounts-05-settings');
  await confirmApp(tab);
  await tab.sees('Keep your recovery codes');
  await picture('accounts-06-codes');
  await tab.click('I have kept them');
  await tab.click('Add a passkey');
  await tab.sees('The passkey was added.');
  await tab.click('Delete your account');
  await tab.click('Delete my account for good');
  await tab.sees('That is not your login name.');
  await whole(tab, () => picture('accounts-07-settings'));
}

/** A picture of the whole page, not only of what fits into the window. */
async function whole(tab: Tab, work: () => Promise<void>): Promise<void> {
  const size = tab.page.viewportSize() ?? { width: 1280, height: 800 };
  const height = await tab.evaluate(() => document.documentElement.scrollHeight);
  await tab.page.setViewportSize({ width: size.width, height });
  await work();
  await tab.page.setViewportSize(size);
}

async function comeBack(world: World, tab: Tab, login: string, picture: Picture): Promise<void> {
  const authorize = await appRequest(world);
  await tab.goto(`${world.secure}/`);
  await signOut(tab);
  await follow(tab, 'Sign in');
  await tab.sees('Create an account');
  await picture('accounts-08-sign-in');
  await signIn(tab, login, 'not the password');
  await tab.sees('That did not work');
  await picture('accounts-09-sign-in-failed');
  await tab.goto(`${world.secure}${authorize}`);
  await signIn(tab, login);
  await tab.sees('Use a passkey');
  await picture('accounts-10-second');
  await tab.click('Use a passkey');
  await tab.sees('Allow Chess club?');
  await picture('accounts-11-consent');
  await tab.goto(`${world.secure}/oauth/device`);
  await tab.sees('Connect a device');
  await picture('accounts-12-device');
  await tab.goto(`${world.secure}/oauth/device?user_code=BCDF-GHJK`);
  await tab.sees('No device shows this code now.');
  await picture('accounts-13-device-wrong');
  await tab.goto(`${world.secure}/sign-in?next=%2Fsettings`);
  await tab.sees('Continue as');
  await picture('accounts-14-already');
}

async function strangers(world: World, tab: Tab, picture: Picture): Promise<void> {
  const made = await asOwner(world, 'POST', '/invitations');
  await tab.goto(`${world.secure}/confirm-mail#${String(made['url']).split('#')[1] ?? ''}`);
  await tab.click('Confirm this address');
  await tab.sees('This link is not valid');
  await picture('accounts-15-mail');
  await tab.goto(await guestLink(world, 'kitchen'));
  await tab.sees('Joining as a guest signs you out');
  await picture('accounts-16-guest');
  await tab.goto(`${world.secure}/reset#${'x'.repeat(32)}`);
  await tab.sees('At least 15 characters');
  await picture('accounts-17-reset');
  await tab.goto(`${world.secure}/reset`);
  await tab.sees('This server sends no mail');
  await picture('accounts-18-forgot');
  await tab.goto(`${world.secure}/sign-in/provider?error=access_denied&state=x`);
  await tab.sees('The sign-in provider said no');
  await picture('accounts-19-provider');
  await tab.goto(`${world.secure}/security`);
  await picture('accounts-20-security');
  await tab.goto(`${world.secure}/problems/token_invalid`);
  await picture('accounts-21-problem');
}
