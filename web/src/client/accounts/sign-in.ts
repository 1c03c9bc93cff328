// One sign-in, step by step, as the server asks for it: a proof, a second factor, or one that policy wants
// to see made. Sign-up, guests and outside providers end in the same steps. Owns the ticket between them.
//
//   start --proof--> second --proof--> done
//                    enrol --made--> codes (new recovery codes, shown once) --> done
import { createStore } from 'zustand/vanilla';
import type { StoreApi } from 'zustand/vanilla';
import type { Api } from '../api';
import { Failure, asFailure } from '../errors';
import { PasskeyOptions, SignInAnswer, TotpAnswer } from './answers';
import type { Passkeys } from './passkeys';

export type Factor = 'passkey' | 'totp' | 'recovery_code';

export type Step =
  | { readonly kind: 'start' }
  | { readonly kind: 'second'; readonly ticket: string; readonly factors: readonly Factor[] }
  | { readonly kind: 'enrol'; readonly ticket: string; readonly offer: TotpAnswer | null }
  | { readonly kind: 'codes'; readonly codes: readonly string[] }
  | { readonly kind: 'done'; readonly room: string | null };

export interface SignInState {
  readonly step: Step;
  readonly busy: boolean;
  readonly failure: Failure | null;
}

const START: SignInState = { step: { kind: 'start' }, busy: false, failure: null };
const FACTORS: readonly Factor[] = ['passkey', 'totp', 'recovery_code'];

export class SignIn {
  readonly store: StoreApi<SignInState> = createStore<SignInState>(() => START);
  private readonly here: { readonly cookie: true; readonly device_name: string };

  constructor(
    private readonly api: Api,
    private readonly passkeys: Passkeys,
    device: string,
  ) {
    this.here = { cookie: true, device_name: device };
  }

  /** From the beginning, forgetting the ticket. */
  restart(): void {
    this.store.setState(START, true);
  }

  password(login: string, password: string): Promise<void> {
    return this.proof(() =>
      this.api.ask('signInWithPassword', 'POST', '/api/v1/sign-in/password', SignInAnswer, {
        body: { ...this.here, login, password },
      }),
    );
  }

  /** Without a name: the passkey says whose it is. As second step: one of the account's. */
  passkey(): Promise<void> {
    const { step } = this.store.getState();
    const ticket = step.kind === 'second' ? step.ticket : null;
    return this.proof(async () => {
      const begun = await this.api.ask(
        'beginSignInWithPasskey',
        'POST',
        '/api/v1/sign-in/passkey/options',
        PasskeyOptions,
        { body: { ...this.here, ticket } },
      );
      const credential = await this.passkeys.get(begun.options);
      return this.api.ask('signInWithPasskey', 'POST', '/api/v1/sign-in/passkey', SignInAnswer, {
        body: { ...this.here, ticket: begun.ticket, credential },
      });
    });
  }

  /** A one-time code or a recovery code. */
  code(code: string): Promise<void> {
    const { ticket } = this.at('second');
    return this.proof(() =>
      this.api.ask('signInWithCode', 'POST', '/api/v1/sign-in/code', SignInAnswer, {
        body: { ...this.here, ticket, code },
      }),
    );
  }

  signUp(link: string | null, login: string, password: string, name: string): Promise<void> {
    return this.proof(() =>
      this.api.ask('signUp', 'POST', '/api/v1/sign-up', SignInAnswer, {
        body: { ...this.here, link, login, password, name },
      }),
    );
  }

  signUpWithPasskey(link: string | null, login: string, name: string): Promise<void> {
    return this.proof(async () => {
      const begun = await this.api.ask(
        'beginSignUpWithPasskey',
        'POST',
        '/api/v1/sign-up/passkey/options',
        PasskeyOptions,
        { body: { ...this.here, link, login, name } },
      );
      const credential = await this.passkeys.create(begun.options);
      return this.api.ask('signUpWithPasskey', 'POST', '/api/v1/sign-up/passkey', SignInAnswer, {
        body: {
          ...this.here,
          ticket: begun.ticket,
          credential,
          passkey_name: this.here.device_name,
        },
      });
    });
  }

  guest(link: string, name: string): Promise<void> {
    return this.proof(() =>
      this.api.ask('joinAsGuest', 'POST', '/api/v1/guests', SignInAnswer, {
        body: { ...this.here, link, name },
      }),
    );
  }

  /** What the outside provider's redirect brought. */
  provider(
    ticket: string,
    back: { state: string; code: string; iss: string | null },
  ): Promise<void> {
    return this.proof(() =>
      this.api.ask('signInWithProvider', 'POST', '/api/v1/sign-in/provider', SignInAnswer, {
        body: { ...this.here, ticket, ...back },
      }),
    );
  }

  offerTotp(): Promise<void> {
    const { ticket } = this.at('enrol');
    return this.run(async () => {
      const offer = await this.api.ask(
        'beginEnrolmentOfTotp',
        'POST',
        '/api/v1/sign-in/enrolment/totp',
        TotpAnswer,
        { body: { ...this.here, ticket } },
      );
      this.store.setState({ step: { kind: 'enrol', ticket, offer } });
    });
  }

  confirmTotp(code: string): Promise<void> {
    const { ticket } = this.at('enrol');
    return this.proof(() =>
      this.api.ask(
        'confirmEnrolmentOfTotp',
        'POST',
        '/api/v1/sign-in/enrolment/totp/confirmation',
        SignInAnswer,
        { body: { ...this.here, ticket, code } },
      ),
    );
  }

  enrolPasskey(): Promise<void> {
    const { ticket } = this.at('enrol');
    return this.proof(async () => {
      const begun = await this.api.ask(
        'beginEnrolmentOfPasskey',
        'POST',
        '/api/v1/sign-in/enrolment/passkey/options',
        PasskeyOptions,
        { body: { ...this.here, ticket } },
      );
      const credential = await this.passkeys.create(begun.options);
      return this.api.ask(
        'confirmEnrolmentOfPasskey',
        'POST',
        '/api/v1/sign-in/enrolment/passkey',
        SignInAnswer,
        {
          body: {
            ...this.here,
            ticket,
            registration: begun.ticket,
            credential,
            name: this.here.device_name,
          },
        },
      );
    });
  }

  /** The recovery codes were kept somewhere. */
  codesKept(): void {
    this.at('codes');
    this.store.setState({ step: { kind: 'done', room: null } });
  }

  private proof(ask: () => Promise<SignInAnswer>): Promise<void> {
    return this.run(async () => this.store.setState({ step: stepAfter(await ask()) }));
  }

  private async run(work: () => Promise<void>): Promise<void> {
    if (this.store.getState().busy) return;
    this.store.setState({ busy: true, failure: null });
    try {
      await work();
      this.store.setState({ busy: false });
    } catch (error) {
      this.store.setState({ busy: false, failure: asFailure(error) });
    }
  }

  private at<Kind extends Step['kind']>(kind: Kind): Extract<Step, { kind: Kind }> {
    const { step } = this.store.getState();
    if (step.kind !== kind) throw new Error(`${kind} asked for in ${step.kind}`);
    return step as Extract<Step, { kind: Kind }>;
  }
}

export function stepAfter(answer: SignInAnswer): Step {
  const { state, ticket, factors = [], recovery_codes: codes = [] } = answer;
  if (state === 'done') {
    return codes.length > 0
      ? { kind: 'codes', codes }
      : { kind: 'done', room: answer.room ?? null };
  }
  if (typeof ticket === 'string') {
    const known = FACTORS.filter((factor) => factors.includes(factor));
    if (state === 'mfa_pending') return { kind: 'second', ticket, factors: known };
    if (state === 'enrol_required') return { kind: 'enrol', ticket, offer: null };
  }
  throw new Failure('version_too_old', { detail: `sign-in state ${state}` });
}
