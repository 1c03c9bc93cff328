// A server that lets nobody in without an account, gives accounts by invitation only, and wants a second
// factor of everybody: what people are asked for, and how they prove again who they are.
import assert from 'node:assert/strict';
import { authenticator, setupLink } from '../accounts';
import { pause } from '../media';
import { confirmApp, signIn, signUp, visit } from '../people';
import type { Scenarios, World } from '../world';
import { check } from './screens';

/** As the server is started for these: `api.reauth_seconds`. */
const FRESH_MS = 30_000;

export const scenarios: Scenarios = {
  async 'strangers are asked to sign in, and told how to get an account'(world: World) {
    const tab = await visit(world, '/r/kitchen');
    await tab.sees('Sign in to join');
    await check(world, tab, 'strict-1-lobby');
    await tab.click('Sign in');
    await tab.sees('Forgot your password?');
    assert.equal(await tab.evaluate(() => location.search), '?next=%2Fr%2Fkitchen');
    assert.ok(!(await tab.text()).includes('Create an account'));
    await tab.goto(`${world.secure}/join`);
    await tab.sees('New accounts are by invitation here');
    await check(world, tab, 'strict-2-closed');
  },

  async 'a second factor is made before the door opens, and shown again later'(world: World) {
    const tab = await visit(world, await setupLink(world));
    await tab.sees('At least 8 characters');
    await check(world, tab, 'strict-3-setup');
    await signUp(tab, 'root.ana');
    await tab.sees('This server asks for one');
    await check(world, tab, 'strict-4-enrol');
    await tab.click('Use an authenticator app');
    await confirmApp(tab);
    await tab.sees('Keep your recovery codes');
    await tab.click('I have kept them');
    await tab.sees('Your account is ready');
    const start = Date.now();
    await tab.click('Make it safer');
    await authenticator(tab);
    await tab.click('Add a passkey');
    await tab.sees('The passkey was added.');
    await tab.click('Remove the authenticator app');
    await tab.sees('The authenticator app was removed.');
    await tab.click('Remove \u2068Chrome on Linux\u2069');
    await tab.sees('A second factor is required here');
    await pause(Math.max(0, start + FRESH_MS + 2_000 - Date.now()));
    await tab.click('Make new recovery codes');
    await tab.sees('This changes how people get into your account');
    await check(world, tab, 'strict-5-proof');
    await tab.click('Cancel');
    await tab.loses('dialog');
    await tab.click('Make new recovery codes');
    await tab.fill('proof', 'not the password at all');
    await tab.click('Confirm');
    await tab.sees('That did not work');
    await tab.click('Confirm with a passkey');
    await tab.sees('Keep your recovery codes');
    await tab.click('I have kept them');
    await tab.sees('10 recovery codes are left.');
    const other = await visit(world, '/sign-in?next=%2Fsettings');
    await signIn(other, 'root.ana');
    await other.sees('Use a passkey');
    assert.ok(!(await other.text()).includes('authenticator app instead'));
  },
};
