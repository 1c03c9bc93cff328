import { expect, it } from 'vitest';
import { Failure } from '../errors';
import { FakeServer } from './fakes';
import { Who, isSignedOut, shownName } from './who';

const ACCOUNT = {
  id: 'a',
  login: 'ada',
  name: '',
  mail: '',
  kind: 'account',
  roles: [],
  password: true,
  totp: false,
  recovery_codes_left: 0,
  passkeys: [],
  providers: [],
  created_at: 1,
};
const NOBODY = { status: 401, code: 'token_missing' };
const server = (guest_join: boolean) => ({
  'GET /.well-known/sotto': [{ features: { guest_join } }],
});

it('knows somebody, asks once, and calls them by their login where there is no name', async () => {
  const { api, asked } = new FakeServer({ 'GET /account': [ACCOUNT] });
  const who = new Who(api);
  const [first, second] = await Promise.all([who.ask(), who.ask()]);
  expect(first).toBe(second);
  expect(asked).toHaveLength(1);
  expect(shownName(first!)).toBe('ada');
});

it.each([true, false])('asks of a stranger whether guests may join: %s', async (guests) => {
  const { api } = new FakeServer({ 'GET /account': [NOBODY], ...server(guests) });
  const who = new Who(api);
  await expect(who.ask()).resolves.toBeNull();
  expect(who.store.getState()).toEqual({ status: 'nobody', account: null, guests });
});

it('asks again after anything that was no answer', async () => {
  const down = { status: 503, code: 'unavailable' };
  const { api } = new FakeServer({ 'GET /account': [down, ACCOUNT], ...server(true) });
  const who = new Who(api);
  await expect(who.ask()).resolves.toBeNull();
  await expect(who.ask()).resolves.toMatchObject({ login: 'ada' });
});

it('forgets who signs out, and stays signed in when that failed', async () => {
  const { api } = new FakeServer({
    'GET /account': [ACCOUNT],
    'DELETE /session': [{ status: 503, code: 'unavailable' }, {}],
  });
  const who = new Who(api);
  await who.ask();
  await expect(who.signOut()).rejects.toMatchObject({ code: 'unavailable' });
  expect(who.store.getState().status).toBe('somebody');
  await who.signOut();
  expect(who.store.getState().status).toBe('nobody');
  await expect(who.ask()).resolves.toBeNull();
});

it('tells being signed out from being refused', () => {
  expect(isSignedOut(new Failure('token_expired'))).toBe(true);
  expect(isSignedOut(new Failure('not_permitted'))).toBe(false);
  expect(isSignedOut(new Error('token_expired'))).toBe(false);
});
