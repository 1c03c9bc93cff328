// Accounts in a real browser against a real server, over TLS: how they begin, each way in, and the call
// that follows. Every refusal that a person can meet has its sentence on the screen.
import assert from 'node:assert/strict';
import { PASSWORD, asOwner, authenticator, invitation, setupLink } from '../accounts';
import {
  appRequest,
  confirmApp,
  follow,
  guestIn,
  meets,
  signIn,
  signOut,
  signUp,
  visit,
} from '../people';
import type { Scenarios, World } from '../world';

const WRONG = 'That did not work';

/** Wrong passwords, as many as are answered in earnest. */
async function guess(times: number): Promise<void> {
  const body = JSON.stringify({ login: 'nobody.here', password: 'a guess', cookie: true });
  const headers = { 'content-type': 'application/json' };
  for (let tries = 0; tries < times; tries += 1) {
    await fetch('/api/v1/sign-in/password', { method: 'POST', headers, body });
  }
}

export const scenarios: Scenarios = {
  async 'the first administrator begins by the printed link, once'(world: World) {
    const link = await setupLink(world);
    const tab = await visit(world, link);
    await tab.sees('Whoever signs up here owns this server');
    await tab.fill('login', '-ana-');
    await tab.fill('password', 'short');
    await tab.click('Create account');
    await tab.sees('At least 15 characters');
    await tab.fill('password', PASSWORD);
    await tab.click('Create account');
    await tab.sees('This login name cannot be used');
    await tab.fill('login', 'root.ana');
    await tab.fill('password', 'sotto password 2026');
    await tab.click('Create account');
    await tab.sees('This password is easy to guess');
    await tab.fill('password', PASSWORD);
    await tab.click('Create account');
    await tab.sees('Your account is ready');
    await tab.click('Make it safer');
    await tab.sees('Role: owner');
    const late = await visit(world, link);
    await signUp(late, 'eve');
    await late.sees('This link is not valid');
    await late.goto(`${world.secure}/setup`);
    await late.sees('This link is not valid');
  },

  async 'password and one-time code, and a call with the call token'(world: World) {
    const tab = await visit(world, await invitation(world));
    await signUp(tab, 'ada', 'Ada');
    await tab.sees('Your account is ready');
    await tab.click('Make it safer');
    await tab.click('Set up an authenticator app');
    const app = await confirmApp(tab);
    await tab.sees('Keep your recovery codes');
    const codes = await tab.evaluate(() =>
      [...document.querySelectorAll('dialog code')].map((code) => code.textContent),
    );
    assert.equal(codes.length, 10);
    await tab.page.keyboard.press('Escape');
    await tab.sees('Keep your recovery codes');
    await tab.click('I have kept them');
    await tab.sees('The authenticator app is set up.');
    await tab.sees('10 recovery codes are left.');
    await signOut(tab);
    await tab.goto(`${world.secure}/sign-in?next=%2Fr%2Fcode`);
    await signIn(tab, 'ada', 'not the password at all');
    await tab.sees(WRONG);
    await tab.fill('password', PASSWORD);
    await tab.click('Sign in');
    await tab.sees('Your account is protected by a second factor.');
    await tab.fill('code', '12');
    await tab.click('Confirm');
    await tab.sees('Write the six digits that the app shows.');
    await tab.fill('code', '000000');
    await tab.click('Confirm');
    await tab.sees(WRONG);
    await tab.fill('code', await app.code());
    await tab.click('Confirm');
    await tab.sees('Speak to see the level move');
    assert.equal(await tab.evaluate(() => location.pathname), '/r/code');
    await meets(world, tab, 'code', 'Ada');
    assert.deepEqual(tab.errors, []);
    const other = await visit(world, '/sign-in');
    await signIn(other, 'ada');
    await other.click('Use a recovery code instead');
    await other.fill('code', codes[3] ?? '');
    await other.click('Confirm');
    await other.sees('Sign out');
    await other.goto(`${world.secure}/settings`);
    await other.sees('9 recovery codes are left.');
    await other.click('Sign out everywhere else');
    await other.sees('You are signed out everywhere else.');
    // The call hangs on the session that was just ended.
    await tab.sees('You were removed from the call', 5_000);
  },

  async 'a passkey alone, and a call with the call token'(world: World) {
    const tab = await visit(world, await invitation(world));
    const key = await authenticator(tab);
    await tab.sees('Create account with a passkey');
    await tab.fill('login', 'grace');
    await tab.fill('name', 'Grace');
    await key.verifies(false);
    await tab.click('Create account with a passkey');
    await tab.sees('The passkey was not used');
    await key.verifies(true);
    await tab.click('Create account with a passkey');
    await tab.sees('Your account is ready');
    await tab.click('Go on');
    await signOut(tab);
    await follow(tab, 'Sign in');
    await tab.sees('Sign in with a passkey');
    await key.verifies(false);
    await tab.click('Sign in with a passkey');
    await tab.sees('The passkey was not used');
    await key.verifies(true);
    await tab.click('Sign in with a passkey');
    await tab.sees('Speak to see the level move');
    await meets(world, tab, 'passkey', 'Grace');
    assert.deepEqual(tab.errors, []);
  },

  async 'a passkey as second factor, renamed and removed'(world: World) {
    const tab = await visit(world, await invitation(world));
    await authenticator(tab);
    await signUp(tab, 'hedy');
    await tab.sees('Your account is ready');
    await tab.click('Make it safer');
    await tab.click('Add a passkey');
    await tab.sees('Keep your recovery codes');
    await tab.click('I have kept them');
    await tab.sees('The passkey was added.');
    await tab.click('Add a passkey');
    await tab.sees('This device has a passkey already');
    await signOut(tab);
    await tab.goto(`${world.secure}/sign-in?next=%2Fsettings`);
    await signIn(tab, 'hedy');
    await tab.click('Use a passkey');
    await tab.sees('Passkeys');
    await tab.click('Rename \u2068Chrome on Linux\u2069');
    await tab.fill('passkey', 'Key of the lab');
    await tab.page.keyboard.press('Enter');
    await tab.sees('The name was saved.');
    await tab.click('Remove \u2068Key of the lab\u2069');
    await tab.sees('The passkey was removed.');
  },

  async 'a guest link leads into its call and into no other'(world: World) {
    const guest = await guestIn(world, 'parlour');
    await guest.click('Leave');
    await guest.goto(`${world.secure}/r/attic`);
    await guest.sees('Gus (guest)');
    await guest.click('Join');
    await guest.sees('You may not join this call');
    await guest.goto(`${world.secure}/settings`);
    await guest.sees('You are here as a guest');
    const lost = await visit(world, `/guest#${'x'.repeat(32)}`);
    await lost.sees('You are invited to a call');
    await lost.fill('name', 'Gus');
    await lost.click('Continue');
    await lost.sees('This link is not valid');
  },

  async 'anybody may sign up, and is told the name that the server completed'(world: World) {
    const tab = await visit(world, '/sign-in');
    await follow(tab, 'Create an account');
    await tab.sees('The server adds a dot and five digits.');
    await signUp(tab, 'joan');
    await tab.sees('Your account is ready');
    const login = await tab.evaluate(
      () => document.querySelector('[data-login]')?.textContent ?? '',
    );
    assert.match(login, /^joan\.\d{5}$/);
  },

  async 'signing in leads back to the app that asked, and never to another site'(world: World) {
    const authorize = await appRequest(world);
    const tab = await visit(world, await invitation(world));
    await signUp(tab, 'katherine');
    await tab.sees('Your account is ready');
    await tab.click('Go on');
    await signOut(tab);
    await tab.goto(`${world.secure}${authorize}`);
    await signIn(tab, 'katherine');
    await tab.sees('Allow Chess club?');
    await tab.click('Allow');
    await tab.until('the app', () => location.pathname === '/r/from-the-app');
    const back = await tab.evaluate(() => location.search);
    assert.match(back, /code=/);
    assert.match(back, /state=of-the-app/);
    await tab.goto(`${world.secure}/settings`);
    await tab.sees('Chess club');
    await tab.click('Withdraw \u2068Chess club\u2069');
    await tab.sees('It has no access any more.');
    await signOut(tab);
    await tab.goto(`${world.secure}/sign-in?next=${encodeURIComponent('//evil.example/')}`);
    await signIn(tab, 'katherine');
    await tab.sees('Speak to see the level move');
    assert.equal(await tab.evaluate(() => location.href), `${world.secure}/`);
    assert.deepEqual([...tab.hosts], [new URL(world.secure).host]);
  },

  async 'a new password by a link, and no more tries than are allowed'(world: World) {
    const tab = await visit(world, await invitation(world));
    await signUp(tab, 'lise');
    await tab.sees('Your account is ready');
    const id = await tab.evaluate(async () => {
      const answer = await fetch('/api/v1/account');
      return ((await answer.json()) as { id: string }).id;
    });
    const link = await asOwner(world, 'POST', `/accounts/${id}/password-links`);
    const fresh = 'copper meadow lantern sway';
    const other = await visit(world, String(link['url']));
    await other.sees('Set a new password');
    await other.fill('password', fresh);
    await other.click('Set password');
    await other.sees('Your password was changed');
    await other.click('Sign in');
    await signIn(other, 'lise', fresh);
    await other.sees('Speak to see the level move');
    await tab.goto(`${world.secure}/settings`);
    await tab.sees('Sign in again');
    const again = await visit(world, String(link['url']));
    await again.sees('Set a new password');
    await again.fill('password', PASSWORD);
    await again.click('Set password');
    await again.sees('This link is not valid');
    await again.goto(`${world.secure}/reset`);
    await again.sees('This server sends no mail.');
    await again.goto(`${world.secure}/sign-in`);
    await again.sees('Login name');
    await again.evaluate(guess, 5);
    await signIn(again, 'nobody.here');
    await again.sees('Too many attempts');
  },
};
