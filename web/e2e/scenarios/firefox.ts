// The other engine: signing in works there too, and axe finds as little as in Chromium.
import { invitation } from '../accounts';
import { confirmApp, signIn, signOut, signUp } from '../people';
import type { Scenarios, World } from '../world';
import { check } from './screens';

export const scenarios: Scenarios = {
  async 'Firefox signs in with password and code, in order'(world: World) {
    const firefox = await world.firefox();
    const fox = await firefox.open();
    const picture = (name: string): Promise<void> => check(world, fox, `firefox-${name}`);
    await fox.goto(await invitation(world));
    await fox.sees('Create account');
    await picture('1-join');
    const login = `rosalind.${Date.now() % 1_000_000}`;
    await signUp(fox, login, 'Rosalind');
    await fox.sees('Your account is ready');
    await fox.click('Make it safer');
    await fox.click('Set up an authenticator app');
    await fox.sees('Scan this picture');
    await picture('2-app');
    const app = await confirmApp(fox);
    await fox.sees('Keep your recovery codes');
    await picture('3-codes');
    await fox.click('I have kept them');
    await fox.sees('10 recovery codes are left.');
    await picture('4-settings');
    await signOut(fox);
    await fox.goto(`${world.secure}/sign-in?next=%2Fr%2Fden`);
    await signIn(fox, login, 'not the password');
    await fox.sees('That did not work');
    await picture('5-sign-in');
    await signIn(fox, login);
    await fox.sees('Code from your authenticator app');
    await fox.fill('code', await app.code());
    await fox.click('Confirm');
    await fox.sees('Nobody sees or hears you before you join');
    await picture('6-lobby');
    await fox.click('Join');
    await fox.inCall();
    await picture('7-call');
    await fox.click('Leave');
    await fox.sees('You left the call');
    await picture('8-left');
  },
};
