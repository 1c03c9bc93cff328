// What people do on the pages of accounts, as scenarios put it together.
import assert from 'node:assert/strict';
import { AuthenticatorApp, PASSWORD, asOwner, guestLink } from './accounts';
import type { Tab } from './browsers';
import { received, seesAndHears } from './media';
import type { World } from './world';

/** A browser of somebody's own, on the address that passkeys and cookies belong to. */
export async function visit(world: World, path: string): Promise<Tab> {
  const tab = await world.chromium.open({ ignoreHTTPSErrors: true });
  await tab.goto(path.startsWith('https:') ? path : `${world.secure}${path}`);
  return tab;
}

export async function signUp(tab: Tab, login: string, name = ''): Promise<void> {
  await tab.sees('Login name');
  await tab.fill('login', login);
  if (name !== '') await tab.fill('name', name);
  await tab.fill('password', PASSWORD);
  await tab.click('Create account');
}

export async function signIn(tab: Tab, login: string, password = PASSWORD): Promise<void> {
  await tab.sees('Login name');
  await tab.fill('login', login);
  await tab.fill('password', password);
  await tab.click('Sign in');
}

/** Until the server has said so: leaving the page earlier may leave the cookie. */
export async function signOut(tab: Tab): Promise<void> {
  await tab.click('Sign out');
  const gone = (): boolean => document.querySelector('header a[href^="/sign-in"]') !== null;
  await tab.until('signed out', gone);
}

/** Somebody with a link to one room, already in its call. */
export async function guestIn(world: World, room: string): Promise<Tab> {
  const tab = await visit(world, await guestLink(world, room));
  await tab.sees('You are invited to a call');
  await tab.fill('name', 'Gus');
  await tab.click('Continue');
  await tab.sees('Gus (guest)');
  await tab.click('Join');
  await tab.inCall();
  return tab;
}

/** From the lobby, as who is signed in, into a call with somebody who sees and hears them. */
export async function meets(world: World, tab: Tab, room: string, name: string): Promise<void> {
  const guest = await guestIn(world, room);
  await tab.goto(`${world.secure}/r/${room}`);
  await tab.sees('Sign out');
  assert.equal(await valueOf(tab, 'name'), name, 'nobody is asked for their name again');
  await tab.click('Join');
  await Promise.all([seesAndHears(tab, 30_000), seesAndHears(guest, 30_000)]);
  await guest.sees(name);
  const { frames } = await received(tab);
  world.note(`${frames} frames`);
}

function valueOf(tab: Tab, name: string): Promise<string> {
  const read = (wanted: string): string =>
    document.querySelector<HTMLInputElement>(`input[name=${wanted}]`)?.value ?? '';
  return tab.evaluate(read, name);
}

/** Reads the secret that is there to be typed, and confirms with the first code. */
export async function confirmApp(tab: Tab): Promise<AuthenticatorApp> {
  await tab.sees('Scan this picture');
  const secret = await tab.evaluate(
    () => document.querySelector('[data-secret]')?.textContent ?? '',
  );
  const app = new AuthenticatorApp(secret);
  await tab.fill('code', await app.code());
  await tab.click('Confirm');
  return app;
}

/** Clicks a link, which Tab.click does not look for. */
export async function follow(tab: Tab, words: string): Promise<void> {
  await tab.sees(words);
  await tab.page.click(`a:text-is(${JSON.stringify(words)})`);
}

/** Where an app that was just registered sends a browser to be let in (RFC 6749 section 4.1.1). */
export async function appRequest(world: World): Promise<string> {
  const made = await asOwner(world, 'POST', '/oauth/clients', {
    name: 'Chess club',
    scopes: ['account:read', 'calls:join'],
    redirect_uris: [`${world.secure}/r/from-the-app`],
  });
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: String(made['id']),
    redirect_uri: `${world.secure}/r/from-the-app`,
    scope: 'account:read calls:join',
    state: 'of-the-app',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  });
  return `/oauth/authorize?${query.toString()}`;
}
