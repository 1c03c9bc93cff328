// Who is signed in in this browser, as far as the page may know: the cookie is none of its business.
import { createStore } from 'zustand/vanilla';
import type { StoreApi } from 'zustand/vanilla';
import type { Api } from '../api';
import { Failure } from '../errors';
import { OwnAccount, ServerFeatures } from './answers';

const SERVER = '/.well-known/sotto';

export interface WhoState {
  readonly status: 'asking' | 'nobody' | 'somebody';
  readonly account: OwnAccount | null;
  /** May strangers join a call here? Assumed until the server says otherwise. */
  readonly guests: boolean;
}

export class Who {
  readonly store: StoreApi<WhoState> = createStore<WhoState>(() => ({
    status: 'asking',
    account: null,
    guests: true,
  }));
  private asked: Promise<OwnAccount | null> | null = null;

  constructor(private readonly api: Api) {}

  /** Asks once; later calls wait for the same answer. */
  ask(): Promise<OwnAccount | null> {
    this.asked ??= this.load();
    return this.asked;
  }

  /** Somebody may have signed in since. */
  again(): Promise<OwnAccount | null> {
    this.asked = null;
    return this.ask();
  }

  async signOut(): Promise<void> {
    await this.api.tell('endSession', 'DELETE', '/api/v1/session');
    this.forget();
  }

  /** The session ended elsewhere. */
  forget(): void {
    this.asked = Promise.resolve(null);
    this.store.setState({ status: 'nobody', account: null });
  }

  /** Whatever keeps the server from telling, a stranger may still join. */
  private async load(): Promise<OwnAccount | null> {
    try {
      const account = await this.api.ask('getAccount', 'GET', '/api/v1/account', OwnAccount);
      this.store.setState({ status: 'somebody', account });
      return account;
    } catch (error) {
      // Only a refusal is an answer; anything else is worth asking again.
      if (!isSignedOut(error)) this.asked = null;
      this.store.setState({ status: 'nobody', guests: await this.guestsMayJoin() });
      return null;
    }
  }

  private async guestsMayJoin(): Promise<boolean> {
    try {
      const server = await this.api.ask('readServer', 'GET', SERVER, ServerFeatures);
      return server.features['guest_join'] !== false;
    } catch {
      return true;
    }
  }
}

const SIGNED_OUT: ReadonlySet<string> = new Set([
  'token_missing',
  'token_invalid',
  'token_expired',
  'token_revoked',
]);

/** The server knows no session of this browser, or none any more. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof Failure && SIGNED_OUT.has(error.code);
}

export function shownName(account: OwnAccount): string {
  return account.name || account.login;
}
