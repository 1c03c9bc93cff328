// Puts the pages of accounts together: the address, the sign-in, one's own account, and the ways between
// pages. Made when such a page is opened; the only place here that touches window and its storage.
import type { Api } from '../api';
import { Failure } from '../errors';
import { AccountModel } from './account';
import { ProviderBegun, SignInPage } from './answers';
import { deviceName } from './device-name';
import { nextOf, pageOf, secretOf } from './pages';
import type { PageName } from './pages';
import { BrowserPasskeys } from './passkeys';
import { Proof } from './proof';
import { SignIn } from './sign-in';
import type { Who } from './who';

/** A trip to an outside provider: what must be the same when it comes back. */
interface Trip {
  readonly ticket: string;
  readonly next: string;
  readonly linking: boolean;
}

const TRIP = 'sotto.trip';
const MAIL = 'sotto.mail';

export class Desk {
  readonly name: PageName;
  /** What stands behind `#` in a link. */
  readonly secret: string;
  /** Where to go after signing in: a whole address of this site. */
  next: string;
  readonly passkeysWork: boolean;
  readonly signIn: SignIn;
  readonly proof: Proof;
  readonly account: AccountModel;

  constructor(
    private readonly page: Window & typeof globalThis,
    readonly api: Api,
    readonly who: Who,
  ) {
    const url = new URL(page.location.href);
    this.name = pageOf(url);
    this.secret = secretOf(url);
    this.next = nextOf(url);
    const works = page.isSecureContext && 'PublicKeyCredential' in page;
    const passkeys = new BrowserPasskeys(works ? page.navigator.credentials : null);
    this.passkeysWork = works;
    this.signIn = new SignIn(api, passkeys, deviceName(page.navigator.userAgent));
    this.proof = new Proof(api, passkeys);
    this.account = new AccountModel(api, passkeys, this.proof);
  }

  /** Instead of this page, so that the way back does not lead through a spent form. */
  go(path: string): void {
    this.page.location.replace(path);
  }

  /** What a sign-in page must know of the server. */
  about(): Promise<SignInPage> {
    return this.api.ask('getSignIn', 'GET', '/api/v1/sign-in', SignInPage);
  }

  askReset(login: string): Promise<void> {
    return this.api.tell('askForPasswordReset', 'POST', '/api/v1/password-resets', {
      body: { login },
    });
  }

  reset(password: string): Promise<void> {
    return this.api.tell('resetPassword', 'POST', '/api/v1/password-resets/completion', {
      body: { link: this.secret, password },
    });
  }

  /** The secret waits in this tab while somebody signs in: it never enters an address. */
  keepMailLink(): void {
    this.page.sessionStorage.setItem(MAIL, this.secret);
  }

  async confirmMail(): Promise<void> {
    const link = this.secret || (this.page.sessionStorage.getItem(MAIL) ?? '');
    await this.api.tell('confirmMail', 'POST', '/api/v1/account/mail/confirmation', {
      body: { link },
    });
    this.page.sessionStorage.removeItem(MAIL);
  }

  async toProvider(id: string): Promise<void> {
    const begun = await this.api.ask(
      'beginSignInWithProvider',
      'POST',
      '/api/v1/sign-in/providers/{provider_id}',
      ProviderBegun,
      { body: {}, names: { provider_id: id } },
    );
    this.travel(begun, false);
  }

  async linkProvider(id: string): Promise<void> {
    const begun = await this.account.linkProvider(id);
    if (begun !== null) this.travel(begun, true);
  }

  /** Back from a provider: signs in, or connects it to the account. Raises Failure. True: connected. */
  async fromProvider(): Promise<boolean> {
    const back = new URL(this.page.location.href).searchParams;
    const trip = this.takeTrip();
    const [state, code, iss] = [back.get('state'), back.get('code'), back.get('iss')];
    if (trip === null || state === null || code === null) {
      throw new Failure('provider_refused', { detail: back.get('error') ?? 'lost' });
    }
    this.next = trip.next;
    if (!trip.linking) {
      await this.signIn.provider(trip.ticket, { state, code, iss });
      return false;
    }
    await this.api.tell('linkProvider', 'POST', '/api/v1/account/provider-links', {
      body: { ticket: trip.ticket, state, code, iss },
    });
    return true;
  }

  private travel({ ticket, location }: { ticket: string; location: string }, linking: boolean) {
    const trip: Trip = { ticket, next: this.next, linking };
    this.page.sessionStorage.setItem(TRIP, JSON.stringify(trip));
    this.page.location.assign(location);
  }

  private takeTrip(): Trip | null {
    const text = this.page.sessionStorage.getItem(TRIP);
    this.page.sessionStorage.removeItem(TRIP);
    return text === null ? null : (JSON.parse(text) as Trip);
  }
}
