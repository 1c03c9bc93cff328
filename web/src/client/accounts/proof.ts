// Proving again who one is, before something that weakens or replaces a way in. One at a time: an act
// that the server refuses for want of a fresh proof waits here, and is done once the proof is there.
import { createStore } from 'zustand/vanilla';
import type { StoreApi } from 'zustand/vanilla';
import type { Api } from '../api';
import { asFailure } from '../errors';
import type { Failure } from '../errors';
import { PasskeyOptions, SignInAnswer } from './answers';
import type { Passkeys } from './passkeys';
import { stepAfter } from './sign-in';
import type { Factor } from './sign-in';

export interface ProofState {
  /** `none`: nobody waits for a proof. */
  readonly step: 'none' | 'first' | 'second';
  readonly factors: readonly Factor[];
  readonly busy: boolean;
  readonly failure: Failure | null;
}

const NONE: ProofState = { step: 'none', factors: [], busy: false, failure: null };

export class Proof {
  readonly store: StoreApi<ProofState> = createStore<ProofState>(() => NONE);
  private ticket: string | null = null;
  private settle: ((proved: boolean) => void) | null = null;

  constructor(
    private readonly api: Api,
    private readonly passkeys: Passkeys,
  ) {}

  /** Does `work`; where a fresh proof is wanted, asks for it and does it once more. Null: given up. */
  async guard<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (asFailure(error).code !== 'reauthentication_required') throw error;
    }
    return (await this.wanted()) ? work() : null;
  }

  giveUp(): void {
    this.finish(false);
  }

  password(password: string): Promise<void> {
    return this.run(() =>
      this.api.ask(
        'proveAgainWithPassword',
        'POST',
        '/api/v1/reauthentication/password',
        SignInAnswer,
        { body: { password } },
      ),
    );
  }

  code(code: string): Promise<void> {
    const ticket = this.ticket ?? '';
    return this.run(() =>
      this.api.ask('proveAgainWithCode', 'POST', '/api/v1/reauthentication/code', SignInAnswer, {
        body: { ticket, code },
      }),
    );
  }

  passkey(): Promise<void> {
    return this.run(async () => {
      const begun = await this.options();
      const credential = await this.passkeys.get(begun.options);
      return this.api.ask(
        'proveAgainWithPasskey',
        'POST',
        '/api/v1/reauthentication/passkey',
        SignInAnswer,
        { body: { ticket: begun.ticket, credential } },
      );
    });
  }

  private options() {
    const { ticket } = this;
    if (ticket === null) {
      return this.api.ask(
        'beginProofWithPasskey',
        'POST',
        '/api/v1/reauthentication/passkey/options',
        PasskeyOptions,
      );
    }
    return this.api.ask(
      'beginSignInWithPasskey',
      'POST',
      '/api/v1/sign-in/passkey/options',
      PasskeyOptions,
      { body: { ticket } },
    );
  }

  private wanted(): Promise<boolean> {
    this.finish(false);
    this.store.setState({ ...NONE, step: 'first' });
    return new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  private finish(proved: boolean): void {
    this.settle?.(proved);
    this.settle = null;
    this.ticket = null;
    this.store.setState(NONE);
  }

  private async run(ask: () => Promise<SignInAnswer>): Promise<void> {
    if (this.store.getState().busy) return;
    this.store.setState({ busy: true, failure: null });
    try {
      const step = stepAfter(await ask());
      if (step.kind === 'done') return this.finish(true);
      this.ticket = step.kind === 'second' ? step.ticket : null;
      const factors = step.kind === 'second' ? step.factors : [];
      this.store.setState({ step: 'second', factors, busy: false });
    } catch (error) {
      this.store.setState({ busy: false, failure: asFailure(error) });
    }
    return undefined;
  }
}
