// One's own account on the settings page: what the server knows of it, and every change to it. Each change
// says when it was done; those that need a fresh proof go through Proof. The lists are asked for again.
import { createStore } from 'zustand/vanilla';
import type { StoreApi } from 'zustand/vanilla';
import type { Api } from '../api';
import { asFailure } from '../errors';
import type { Failure } from '../errors';
import type { MessageKey } from '../../i18n';
import { Codes, Devices, Ended, OwnAccount, PasskeyOptions, ProviderBegun } from './answers';
import { ConsentList, SessionList, SignInPage, TotpAnswer } from './answers';
import type { Consent, Device, Session } from './answers';
import type { Passkeys } from './passkeys';
import type { Proof } from './proof';

export type Part =
  | 'name'
  | 'mail'
  | 'password'
  | 'totp'
  | 'passkeys'
  | 'providers'
  | 'sessions'
  | 'devices'
  | 'consents'
  | 'leave';

export interface AccountState {
  readonly account: OwnAccount | null;
  readonly page: SignInPage | null;
  readonly sessions: readonly Session[];
  readonly devices: readonly Device[];
  /** Programs that may act for this account. */
  readonly consents: readonly Consent[];
  /** Which part of the page is at work, has just done something, or failed. */
  readonly busy: Part | null;
  readonly said: { readonly part: Part; readonly text: MessageKey } | null;
  readonly failure: { readonly part: Part | 'all'; readonly failure: Failure } | null;
  readonly offer: TotpAnswer | null;
  /** New recovery codes, until they were kept somewhere. */
  readonly codes: readonly string[];
}

const EMPTY: AccountState = {
  account: null,
  page: null,
  sessions: [],
  devices: [],
  consents: [],
  busy: null,
  said: null,
  failure: null,
  offer: null,
  codes: [],
};

export class AccountModel {
  readonly store: StoreApi<AccountState> = createStore<AccountState>(() => EMPTY);

  constructor(
    private readonly api: Api,
    private readonly passkeys: Passkeys,
    private readonly proof: Proof,
  ) {}

  async load(): Promise<void> {
    this.store.setState({ failure: null });
    try {
      await this.refresh();
    } catch (error) {
      this.store.setState({ failure: { part: 'all', failure: asFailure(error) } });
    }
  }

  rename(name: string): Promise<boolean> {
    return this.act('name', 'settings.name.done', () =>
      this.api.ask('changeAccount', 'PATCH', '/api/v1/account', OwnAccount, { body: { name } }),
    );
  }

  setPassword(current: string, password: string): Promise<boolean> {
    return this.act('password', 'settings.password.done', () =>
      this.api.tell('setPassword', 'PUT', '/api/v1/account/password', {
        body: { current, password },
      }),
    );
  }

  setMail(mail: string): Promise<boolean> {
    return this.act('mail', 'settings.mail.sent', () =>
      this.api.tell('beginMail', 'POST', '/api/v1/account/mail', { body: { mail } }),
    );
  }

  removeMail(): Promise<boolean> {
    return this.act('mail', 'settings.mail.removed', () =>
      this.api.tell('removeMail', 'DELETE', '/api/v1/account/mail'),
    );
  }

  offerTotp(): Promise<boolean> {
    return this.act('totp', null, async () => {
      const offer = await this.api.ask('beginTotp', 'POST', '/api/v1/account/totp', TotpAnswer);
      this.store.setState({ offer });
    });
  }

  dropOffer(): void {
    this.store.setState({ offer: null, failure: null });
  }

  confirmTotp(code: string): Promise<boolean> {
    return this.act('totp', 'settings.totp.done', async () => {
      const done = await this.api.ask(
        'confirmTotp',
        'POST',
        '/api/v1/account/totp/confirmation',
        Codes,
        { body: { code } },
      );
      this.store.setState({ offer: null, codes: done.recovery_codes });
    });
  }

  removeTotp(): Promise<boolean> {
    return this.act('totp', 'settings.totp.removed', () =>
      this.api.tell('removeTotp', 'DELETE', '/api/v1/account/totp'),
    );
  }

  renewCodes(): Promise<boolean> {
    return this.act('totp', null, async () => {
      const path = '/api/v1/account/recovery-codes';
      const made = await this.api.ask('renewRecoveryCodes', 'POST', path, Codes);
      this.store.setState({ codes: made.recovery_codes });
    });
  }

  codesKept(): void {
    this.store.setState({ codes: [] });
  }

  addPasskey(name: string): Promise<boolean> {
    return this.act('passkeys', 'settings.passkeys.done', async () => {
      const path = '/api/v1/account/passkeys/options';
      const begun = await this.api.ask('beginPasskey', 'POST', path, PasskeyOptions);
      const credential = await this.passkeys.create(begun.options);
      const done = await this.api.ask('addPasskey', 'POST', '/api/v1/account/passkeys', Codes, {
        body: { ticket: begun.ticket, credential, name },
      });
      this.store.setState({ codes: done.recovery_codes });
    });
  }

  renamePasskey(id: string, name: string): Promise<boolean> {
    return this.act('passkeys', 'settings.passkeys.renamed', () =>
      this.api.tell('renamePasskey', 'PATCH', '/api/v1/account/passkeys/{passkey_id}', {
        body: { name },
        names: { passkey_id: id },
      }),
    );
  }

  removePasskey(id: string): Promise<boolean> {
    return this.act('passkeys', 'settings.passkeys.removed', () =>
      this.api.tell('removePasskey', 'DELETE', '/api/v1/account/passkeys/{passkey_id}', {
        names: { passkey_id: id },
      }),
    );
  }

  /** Where to send the browser; the ticket comes back with it. Null: nothing came of it. */
  async linkProvider(id: string): Promise<{ ticket: string; location: string } | null> {
    let begun: { ticket: string; location: string } | null = null;
    await this.act('providers', null, async () => {
      begun = await this.api.ask(
        'beginProviderLink',
        'POST',
        '/api/v1/account/providers/{provider_id}',
        ProviderBegun,
        { names: { provider_id: id } },
      );
    });
    return begun;
  }

  unlinkProvider(id: string): Promise<boolean> {
    return this.act('providers', 'settings.providers.removed', () =>
      this.api.tell('unlinkProvider', 'DELETE', '/api/v1/account/providers/{provider_id}', {
        names: { provider_id: id },
      }),
    );
  }

  endSession(id: string): Promise<boolean> {
    return this.act('sessions', 'settings.sessions.ended', () =>
      this.api.tell('endOneSession', 'DELETE', '/api/v1/sessions/{session_id}', {
        names: { session_id: id },
      }),
    );
  }

  endOthers(): Promise<boolean> {
    return this.act('sessions', 'settings.sessions.others.done', () =>
      this.api.ask('endOtherSessions', 'DELETE', '/api/v1/sessions/others', Ended),
    );
  }

  forgetDevice(id: string): Promise<boolean> {
    return this.act('devices', 'settings.devices.forgotten', () =>
      this.api.tell('removeDevice', 'DELETE', '/api/v1/account/devices/{device_id}', {
        names: { device_id: id },
      }),
    );
  }

  withdraw(client: string): Promise<boolean> {
    return this.act('consents', 'settings.consents.done', () =>
      this.api.tell('withdrawConsent', 'DELETE', '/api/v1/oauth/consents/{client_id}', {
        names: { client_id: client },
      }),
    );
  }

  /** For good. Afterwards nothing can be asked for. */
  leave(): Promise<boolean> {
    return this.act(
      'leave',
      null,
      () => this.api.tell('deleteAccount', 'DELETE', '/api/v1/account'),
      false,
    );
  }

  /** True when it was done; false when it failed or the proof was not given. */
  private async act(
    part: Part,
    text: MessageKey | null,
    work: () => Promise<unknown>,
    again = true,
  ): Promise<boolean> {
    if (this.store.getState().busy !== null) return false;
    this.store.setState({ busy: part, said: null, failure: null });
    try {
      const done = await this.proof.guard(async () => {
        await work();
        return true;
      });
      if (done === null) return false;
      if (again) await this.refresh();
      this.store.setState({ said: text === null ? null : { part, text } });
      return true;
    } catch (error) {
      this.store.setState({ failure: { part, failure: asFailure(error) } });
      return false;
    } finally {
      this.store.setState({ busy: null });
    }
  }

  private async refresh(): Promise<void> {
    const [account, page, sessions, devices, consents] = await Promise.all([
      this.api.ask('getAccount', 'GET', '/api/v1/account', OwnAccount),
      this.api.ask('getSignIn', 'GET', '/api/v1/sign-in', SignInPage),
      this.api.ask('listSessions', 'GET', '/api/v1/sessions', SessionList),
      this.api.ask('listDevices', 'GET', '/api/v1/account/devices', Devices),
      this.api.ask('listConsents', 'GET', '/api/v1/oauth/consents', ConsentList),
    ]);
    this.store.setState({
      account,
      page,
      sessions: sessions.items,
      devices: devices.items,
      consents: consents.items,
    });
  }
}
