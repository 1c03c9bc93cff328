import { describe, expect, it, vi } from 'vitest';
import { BrowserPasskeys } from './passkeys';

const buffer = (...values: number[]): ArrayBuffer => new Uint8Array(values).buffer;

const SHOWN = {
  id: 'abc',
  rawId: buffer(251, 255),
  type: 'public-key',
  authenticatorAttachment: 'platform',
  getClientExtensionResults: () => ({}),
};

function browser(answer: () => Promise<unknown>) {
  const create = vi.fn<CredentialsContainer['create']>(() => answer() as Promise<Credential>);
  const get = vi.fn<CredentialsContainer['get']>(() => answer() as Promise<Credential>);
  return { create, get };
}

describe('BrowserPasskeys', () => {
  it('makes one: bytes for the browser, base64url for the server', async () => {
    const response = {
      clientDataJSON: buffer(1),
      attestationObject: buffer(2, 3),
      getTransports: () => ['internal'],
    };
    const credentials = browser(async () => ({ ...SHOWN, response }));
    const made = await new BrowserPasskeys(credentials).create({
      challenge: '-_8',
      rp: { id: 'sotto.example', name: 'Sotto' },
      user: { id: 'AQI', name: 'ada', displayName: 'Ada' },
      excludeCredentials: [{ type: 'public-key', id: 'AQ' }],
      pubKeyCredParams: [],
    });
    const asked = credentials.create.mock.calls[0]?.[0]?.publicKey;
    expect(asked?.challenge).toEqual(Uint8Array.of(251, 255));
    expect(asked?.user).toEqual({ id: Uint8Array.of(1, 2), name: 'ada', displayName: 'Ada' });
    expect(asked?.excludeCredentials).toEqual([{ type: 'public-key', id: Uint8Array.of(1) }]);
    expect(made).toMatchObject({
      id: 'abc',
      rawId: '-_8',
      response: { clientDataJSON: 'AQ', attestationObject: 'AgM', transports: ['internal'] },
    });
  });

  it('shows one, with the handle of its owner or without', async () => {
    const response = {
      clientDataJSON: buffer(1),
      authenticatorData: buffer(2),
      signature: buffer(3),
      userHandle: null,
    };
    const credentials = browser(async () => ({ ...SHOWN, response }));
    const shown = await new BrowserPasskeys(credentials).get({ challenge: 'AQ' });
    expect(credentials.get.mock.calls[0]?.[0]?.publicKey?.allowCredentials).toEqual([]);
    expect(shown['response']).toEqual({
      clientDataJSON: 'AQ',
      authenticatorData: 'Ag',
      signature: 'Aw',
      userHandle: null,
    });
  });

  it.each([
    ['NotAllowedError', 'passkey_cancelled'],
    ['AbortError', 'passkey_cancelled'],
    ['InvalidStateError', 'passkey_known'],
    ['NotSupportedError', 'passkey_unsupported'],
    ['SecurityError', 'passkey_failed'],
  ])('%s becomes %s', async (name, code) => {
    const error = Object.assign(new Error('no'), { name });
    const passkeys = new BrowserPasskeys(browser(() => Promise.reject(error)));
    await expect(passkeys.get({ challenge: 'AQ' })).rejects.toMatchObject({ code });
  });

  it('says where there are none', async () => {
    const passkeys = new BrowserPasskeys(null);
    expect(passkeys.supported).toBe(false);
    await expect(passkeys.get({ challenge: 'AQ' })).rejects.toMatchObject({
      code: 'passkey_unsupported',
    });
    const silent = new BrowserPasskeys(browser(async () => null));
    await expect(silent.get({ challenge: 'AQ' })).rejects.toMatchObject({
      code: 'passkey_cancelled',
    });
  });
});
