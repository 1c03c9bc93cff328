import { describe, expect, it } from 'vitest';
import { FakePasskeys, FakeServer } from './fakes';
import type { Answer } from './fakes';
import { SignIn } from './sign-in';

const DONE = { state: 'done', account_id: 'a', recovery_codes: [] };
const SECOND = { state: 'mfa_pending', ticket: 't1', factors: ['passkey', 'totp', 'x'] };
const ENROL = { state: 'enrol_required', ticket: 't2' };
const BEGUN = { ticket: 'p1', options: { challenge: 'AAAA' } };
const OFFER = { secret: 'S', uri: 'otpauth://totp/x', qr: '<svg/>' };

function opened(answers: Readonly<Record<string, readonly Answer[]>>) {
  const server = new FakeServer(answers);
  const passkeys = new FakePasskeys();
  const signIn = new SignIn(server.api, passkeys, 'Firefox on Linux');
  return { server, passkeys, signIn, step: () => signIn.store.getState().step };
}

describe('a password', () => {
  it('is enough where there is no second factor, and asks for a cookie', async () => {
    const { server, signIn, step } = opened({ 'POST /sign-in/password': [DONE] });
    await signIn.password('ada', 'correct horse');
    expect(step()).toEqual({ kind: 'done', room: null });
    expect(server.asked[0]?.body).toEqual({
      cookie: true,
      device_name: 'Firefox on Linux',
      login: 'ada',
      password: 'correct horse',
    });
  });

  it('leads to a second step with the factors that this page knows, and its ticket goes on', async () => {
    const { server, signIn, step } = opened({
      'POST /sign-in/password': [SECOND],
      'POST /sign-in/code': [{ status: 401, code: 'sign_in_failed' }, DONE],
    });
    await signIn.password('ada', 'x');
    expect(step()).toEqual({ kind: 'second', ticket: 't1', factors: ['passkey', 'totp'] });
    await signIn.code('111111');
    expect(signIn.store.getState().failure?.code).toBe('sign_in_failed');
    expect(step().kind).toBe('second');
    await signIn.code('222222');
    expect(step().kind).toBe('done');
    expect(signIn.store.getState().failure).toBeNull();
    expect(server.asked.at(-1)?.body).toMatchObject({ ticket: 't1', code: '222222' });
  });

  it('keeps how long to wait', async () => {
    const { signIn } = opened({
      'POST /sign-in/password': [{ status: 429, code: 'rate_limited' }],
    });
    await signIn.password('ada', 'x');
    expect(signIn.store.getState().failure).toMatchObject({ code: 'rate_limited', seconds: 7 });
  });

  it('is sent once, however often somebody presses', async () => {
    const { server, signIn } = opened({ 'POST /sign-in/password': [DONE] });
    await Promise.all([signIn.password('ada', 'x'), signIn.password('ada', 'x')]);
    expect(server.asked).toHaveLength(1);
  });

  it('does not go on with an answer of another version', async () => {
    const { signIn, step } = opened({ 'POST /sign-in/password': [{ state: 'riddle' }] });
    await signIn.password('ada', 'x');
    expect(signIn.store.getState().failure?.code).toBe('version_too_old');
    expect(step().kind).toBe('start');
  });
});

describe('a passkey', () => {
  const answers = {
    'POST /sign-in/password': [SECOND],
    'POST /sign-in/passkey/options': [BEGUN],
    'POST /sign-in/passkey': [DONE],
  };

  it('needs no name', async () => {
    const { server, passkeys, signIn, step } = opened(answers);
    await signIn.passkey();
    expect(step().kind).toBe('done');
    expect(server.asked[0]?.body).toMatchObject({ ticket: null });
    expect(server.asked[1]?.body).toMatchObject({ ticket: 'p1', credential: { id: 'shown' } });
    expect(passkeys.seen).toEqual([BEGUN.options]);
  });

  it('is a second factor with the ticket of the first', async () => {
    const { server, signIn } = opened(answers);
    await signIn.password('ada', 'x');
    await signIn.passkey();
    expect(server.asked[1]?.body).toMatchObject({ ticket: 't1' });
  });

  it('that is cancelled sends nothing, and says so', async () => {
    const { server, passkeys, signIn } = opened(answers);
    passkeys.refuses = true;
    await signIn.passkey();
    expect(signIn.store.getState().failure?.code).toBe('passkey_cancelled');
    expect(server.count('POST', '/sign-in/passkey')).toBe(0);
  });
});

describe('policy', () => {
  it('asks for an authenticator app, shows its codes once, and then lets in', async () => {
    const { signIn, step } = opened({
      'POST /sign-up': [ENROL],
      'POST /sign-in/enrolment/totp': [OFFER],
      'POST /sign-in/enrolment/totp/confirmation': [{ ...DONE, recovery_codes: ['a', 'b'] }],
    });
    await signIn.signUp('secret', 'ada', 'x', 'Ada');
    await signIn.offerTotp();
    expect(step()).toEqual({ kind: 'enrol', ticket: 't2', offer: OFFER });
    await signIn.confirmTotp('123456');
    expect(step()).toEqual({ kind: 'codes', codes: ['a', 'b'] });
    signIn.codesKept();
    expect(step().kind).toBe('done');
  });

  it('is content with a passkey', async () => {
    const { server, signIn, step } = opened({
      'POST /sign-in/password': [ENROL],
      'POST /sign-in/enrolment/passkey/options': [BEGUN],
      'POST /sign-in/enrolment/passkey': [DONE],
    });
    await signIn.password('ada', 'x');
    await signIn.enrolPasskey();
    expect(step().kind).toBe('done');
    expect(server.asked.at(-1)?.body).toMatchObject({ ticket: 't2', registration: 'p1' });
  });
});

it('a guest learns which room', async () => {
  const { signIn, step } = opened({ 'POST /guests': [{ ...DONE, room: 'kitchen' }] });
  await signIn.guest('secret', 'Ada');
  expect(step()).toEqual({ kind: 'done', room: 'kitchen' });
});

it('starting again forgets the ticket', async () => {
  const { signIn, step } = opened({ 'POST /sign-in/password': [SECOND] });
  await signIn.password('ada', 'x');
  signIn.restart();
  expect(step()).toEqual({ kind: 'start' });
});
