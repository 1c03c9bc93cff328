// Puts the client core together for a page: devices, preferences, preview and call. The only place
// that touches window, document storage and the lazy call library; screens receive a Client.
import { Who, isSignedOut } from './accounts/who';
import { Api } from './api';
import { PushToTalk } from './call/push-to-talk';
import { CallSession } from './call/session';
import type { Entry } from './call/session';
import { Devices } from './devices';
import type { DeviceKind } from './devices';
import { Failure, describe } from './errors';
import { readAddress, roomPath } from './address';
import type { Invitation } from './address';
import { requestCallToken, requestTicket } from './join';
import type { JoinRequest, Ticket } from './join';
import { PreferenceStore } from './preferences';
import type { Theme } from './preferences';
import { Preview } from './preview';

export class Client {
  readonly invitation: Invitation;
  readonly preferences: PreferenceStore;
  readonly preview: Preview;
  readonly call: CallSession;
  readonly api = new Api();
  readonly who: Who;
  readonly talk: PushToTalk;
  private entry: Entry | null = null;

  constructor(private readonly page: Window & typeof globalThis) {
    this.invitation = readAddress(new URL(page.location.href));
    this.who = new Who(this.api);
    this.preferences = new PreferenceStore(storageOf(page));
    this.showTheme();
    const { mediaDevices, permissions } = page.navigator;
    const devices = new Devices(mediaDevices, permissions, page.isSecureContext);
    this.preview = new Preview(devices, this.preferences);
    this.call = new CallSession({
      clock: {
        setTimeout: (callback, ms) => page.setTimeout(callback, ms),
        clearTimeout: (handle) => page.clearTimeout(handle),
      },
      openRoom: async (listener, choices) => {
        const { openLiveKitRoom } = await loadCall();
        return openLiveKitRoom(listener, choices);
      },
      requestTicket: (request) => this.ticket(request),
    });
    this.talk = new PushToTalk(
      () => this.call.store.getState().switches.microphone,
      (on) => this.call.turn('microphone', on),
    );
  }

  theme(theme: Theme): void {
    this.preferences.set({ theme });
    this.showTheme();
  }

  /** Fetches the call library while somebody still types their name. */
  warm(): void {
    loadCall().catch(() => undefined);
  }

  async join(room: string, name: string, bare: boolean): Promise<void> {
    this.preferences.set({ name });
    const { token } = this.invitation;
    const url = this.page.location.origin.replace(/^http/, 'ws');
    const ticket = token === null ? null : { token, url };
    const none = Promise.resolve({ microphone: null, camera: null });
    if (bare) this.preview.stop();
    this.entry = {
      room,
      name,
      ticket,
      choices: this.preview.store.getState().chosen,
      openTracks: () => (bare ? none : this.preview.lend()),
      handedOver: () => this.preview.release(),
    };
    await this.enter(this.entry);
  }

  /** The same room, name and devices as before. */
  async rejoin(): Promise<void> {
    if (this.entry === null) return;
    await this.enter({ ...this.entry, choices: this.preview.store.getState().chosen });
  }

  /** Also cancels an attempt to join. */
  async leave(): Promise<void> {
    await this.call.leave();
  }

  home(): void {
    this.call.home();
    this.page.history.replaceState(null, '', '/');
  }

  async choose(kind: DeviceKind, id: string): Promise<void> {
    this.preview.remember(kind, id);
    await this.call.choose(kind, id);
  }

  link(): string {
    return new URL(roomPath(this.call.store.getState().room), this.page.location.href).href;
  }

  private showTheme(): void {
    this.page.document.documentElement.dataset['theme'] = this.preferences.get().theme;
  }

  /** Of one's own account where somebody is signed in. */
  private async ticket(request: JoinRequest): Promise<Ticket> {
    if ((await this.who.ask()) === null) return requestTicket(request);
    try {
      return await requestCallToken(request);
    } catch (error) {
      if (!isSignedOut(error)) throw error;
      this.who.forget();
      throw new Failure('token_revoked', { detail: describe(error) });
    }
  }

  private async enter(entry: Entry): Promise<void> {
    await this.call.join(entry);
    const { phase } = this.call.store.getState();
    if (phase === 'connected' && this.invitation.token === null) {
      this.page.history.replaceState(null, '', roomPath(entry.room));
    }
    if (phase === 'ended') this.preview.stop();
  }
}

async function loadCall(): Promise<typeof import('./call/livekit/room')> {
  try {
    return await import('./call/livekit/room');
  } catch (error) {
    // The page in this tab is older than the one on the server, or the server is gone.
    throw new Failure(navigator.onLine ? 'version_too_old' : 'offline', {
      detail: describe(error),
    });
  }
}

function storageOf(page: Window): Storage | null {
  try {
    return page.localStorage;
  } catch {
    return null;
  }
}
