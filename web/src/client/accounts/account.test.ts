import { describe, expect, it, vi } from 'vitest';
import { AccountModel } from './account';
import { FakePasskeys, FakeServer } from './fakes';
import type { Answer } from './fakes';
import { Proof } from './proof';

const ACCOUNT = {
  id: 'a',
  login: 'ada',
  name: 'Ada',
  mail: '',
  kind: 'account',
  roles: ['member'],
  password: true,
  totp: false,
  recovery_codes_left: 0,
  passkeys: [],
  providers: [],
  created_at: 1,
};
const READS = {
  'GET /account': [ACCOUNT],
  'GET /sign-in': [
    {
      sign_up: 'invite',
      password_shortest: 15,
      password_longest: 128,
      second_factor: 'optional',
      password_reset: false,
      providers: [],
    },
  ],
  'GET /sessions': [{ items: [] }],
  'GET /account/devices': [{ items: [] }],
  'GET /oauth/consents': [{ items: [] }],
};
const FRESH = { status: 401, code: 'reauthentication_required' };
const DONE = { state: 'done' };
const SECOND = { state: 'mfa_pending', ticket: 't', factors: ['totp'] };

function opened(answers: Readonly<Record<string, readonly Answer[]>>) {
  const server = new FakeServer({ ...READS, ...answers });
  const passkeys = new FakePasskeys();
  const proof = new Proof(server.api, passkeys);
  return { server, passkeys, proof, account: new AccountModel(server.api, passkeys, proof) };
}

describe('an act', () => {
  it('is done, said, and what it changed asked for again', async () => {
    const { server, account } = opened({ 'PATCH /account': [ACCOUNT] });
    await account.load();
    await expect(account.rename('Ada L')).resolves.toBe(true);
    expect(server.count('GET', '/account')).toBe(2);
    expect(account.store.getState()).toMatchObject({
      busy: null,
      said: { part: 'name', text: 'settings.name.done' },
      failure: null,
    });
  });

  it('that fails says so where it happened', async () => {
    const { account } = opened({
      'PUT /account/password': [{ status: 422, code: 'password_common' }],
    });
    await expect(account.setPassword('x', 'y')).resolves.toBe(false);
    expect(account.store.getState().failure).toMatchObject({
      part: 'password',
      failure: { code: 'password_common' },
    });
  });

  it('names what it is about in the path', async () => {
    const { server, account } = opened({ 'DELETE /sessions/a%2Fb': [{}] });
    await account.endSession('a/b');
    expect(server.count('DELETE', '/sessions/a%2Fb')).toBe(1);
  });
});

describe('a sensitive act', () => {
  it('waits for password and code, and is then done once more', async () => {
    const { server, proof, account } = opened({
      'DELETE /account/totp': [FRESH, {}],
      'POST /reauthentication/password': [{ status: 401, code: 'sign_in_failed' }, SECOND],
      'POST /reauthentication/code': [DONE],
    });
    const done = account.removeTotp();
    await vi.waitFor(() => expect(proof.store.getState().step).toBe('first'), 30_000);
    await proof.password('wrong');
    expect(proof.store.getState().failure?.code).toBe('sign_in_failed');
    await proof.password('right');
    expect(proof.store.getState()).toMatchObject({ step: 'second', factors: ['totp'] });
    await proof.code('123456');
    await expect(done).resolves.toBe(true);
    expect(server.count('DELETE', '/account/totp')).toBe(2);
    expect(proof.store.getState().step).toBe('none');
  });

  it('takes a passkey as the whole proof, or as the second half', async () => {
    const begun = { ticket: 'p', options: {} };
    const { server, proof, account } = opened({
      'DELETE /account/totp': [FRESH, {}, FRESH, {}],
      'POST /reauthentication/passkey/options': [begun],
      'POST /reauthentication/passkey': [DONE],
      'POST /reauthentication/password': [SECOND],
      'POST /sign-in/passkey/options': [begun],
    });
    const whole = account.removeTotp();
    await vi.waitFor(() => expect(proof.store.getState().step).toBe('first'), 30_000);
    await proof.passkey();
    await expect(whole).resolves.toBe(true);
    const half = account.removeTotp();
    await vi.waitFor(() => expect(proof.store.getState().step).toBe('first'), 30_000);
    await proof.password('right');
    await proof.passkey();
    await expect(half).resolves.toBe(true);
    const second = server.asked.find((one) => one.path === '/sign-in/passkey/options');
    expect(second?.body).toEqual({ ticket: 't' });
  });

  it('is not done when the proof is not given', async () => {
    const { server, proof, account } = opened({ 'DELETE /account': [FRESH] });
    const done = account.leave();
    await vi.waitFor(() => expect(proof.store.getState().step).toBe('first'), 30_000);
    proof.giveUp();
    await expect(done).resolves.toBe(false);
    expect(server.count('DELETE', '/account')).toBe(1);
    expect(account.store.getState()).toMatchObject({ busy: null, failure: null });
  });
});

it('new recovery codes stay until they were kept', async () => {
  const { account } = opened({
    'POST /account/totp': [{ secret: 's', uri: 'u', qr: 'q' }],
    'POST /account/totp/confirmation': [{ recovery_codes: ['a'] }],
  });
  await account.offerTotp();
  expect(account.store.getState().offer?.secret).toBe('s');
  await account.confirmTotp('123456');
  expect(account.store.getState()).toMatchObject({ offer: null, codes: ['a'] });
  account.codesKept();
  expect(account.store.getState().codes).toEqual([]);
});
