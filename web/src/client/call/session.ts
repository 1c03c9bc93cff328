// One page's call: joins, leaves, comes back, and keeps the state that the screens show. Owns the
// MediaRoom and the interruption timer. Knows no React and no call library.
import { createStore } from 'zustand/vanilla';
import type { StoreApi } from 'zustand/vanilla';
import { Failure, asFailure } from '../errors';
import type { DeviceKind } from '../devices';
import type { JoinRequest, Ticket } from '../join';
import { InterruptionTimer, LOST_AFTER_MS } from './interruption';
import type { Clock, Interruption } from './interruption';
import { next } from './machine';
import type { Phase, Step } from './machine';
import type { MediaRoom, MediaRoomListener, OpenRoom, OpenTracks, RoomChoices } from './media-room';
import type { Source, Switches } from './media-room';
import { reconcile } from './people';
import type { Person } from './people';

export interface CallState {
  readonly phase: Phase;
  readonly room: string;
  readonly people: readonly Person[];
  readonly switches: Switches;
  /** Sources whose switch was pressed and has not taken effect yet. */
  readonly busy: Switches;
  readonly interruption: Interruption;
  /** True for two seconds after an interruption that was long enough to be shown. */
  readonly back: boolean;
  /** Why the last attempt failed or the call ended; null after leaving by choice. */
  readonly failure: Failure | null;
  /** Something that failed while the call goes on. */
  readonly notice: Failure | null;
  readonly audioBlocked: boolean;
}

export interface Ports {
  readonly clock: Clock;
  readonly openRoom: OpenRoom;
  readonly requestTicket: (request: JoinRequest) => Promise<Ticket>;
}

export interface Entry extends JoinRequest {
  /** An invitation's token and the address it is for; otherwise the server is asked for one. */
  readonly ticket: Pick<Ticket, 'token' | 'url'> | null;
  readonly choices: RoomChoices;
  /** Opened for the lobby and still the lobby's, so that a failed attempt leaves its picture there ... */
  readonly openTracks: () => Promise<OpenTracks>;
  /** ... until the call has taken them. */
  readonly handedOver: () => void;
}

const OFF: Switches = { microphone: false, camera: false, screen: false };
const BACK_SHOWN_MS = 2_000;

const INITIAL: CallState = {
  phase: 'lobby',
  room: '',
  people: [],
  switches: OFF,
  busy: OFF,
  interruption: 'none',
  back: false,
  failure: null,
  notice: null,
  audioBlocked: false,
};

export class CallSession {
  readonly store: StoreApi<CallState> = createStore<CallState>(() => INITIAL);
  private room: MediaRoom | null = null;
  /** The room of an attempt that has not succeeded yet. */
  private connecting: MediaRoom | null = null;
  /** Counts attempts, so that a late answer to a cancelled one changes nothing. */
  private attempt = 0;
  private readonly timer: InterruptionTimer;

  constructor(private readonly ports: Ports) {
    this.timer = new InterruptionTimer(
      ports.clock,
      (interruption) => this.set({ interruption }),
      () => this.end(new Failure('connection_lost', { seconds: LOST_AFTER_MS / 1_000 })),
    );
  }

  async join(entry: Entry): Promise<void> {
    if (!this.step('join', { failure: null, notice: null, room: entry.room })) return;
    this.attempt += 1;
    const attempt = this.attempt;
    let tracks: OpenTracks;
    let room: MediaRoom;
    try {
      [tracks, room] = await this.connect(entry, attempt);
    } catch (error) {
      if (attempt === this.attempt) this.step('failed', { failure: asFailure(error) });
      return;
    }
    if (attempt !== this.attempt) {
      await room.leave();
      return;
    }
    this.room = room;
    entry.handedOver();
    this.step('joined');
    await this.guard(() => room.publish(tracks));
  }

  /** Also cancels an attempt to join. */
  async leave(): Promise<void> {
    await this.end(null);
  }

  /** From the last screen back to the first. */
  home(): void {
    this.step('home', { failure: null });
  }

  async turn(source: Source, on: boolean): Promise<void> {
    const { room } = this;
    if (room === null || this.state.busy[source]) return;
    this.set({ busy: { ...this.state.busy, [source]: true }, notice: null });
    await this.guard(() => room.turn(source, on));
    this.set({ busy: { ...this.state.busy, [source]: false } });
  }

  async choose(kind: DeviceKind, id: string): Promise<void> {
    await this.guard(() => this.room?.choose(kind, id));
  }

  async startAudio(): Promise<void> {
    await this.guard(() => this.room?.startAudio());
  }

  inUse(kind: DeviceKind): string {
    return this.room?.inUse(kind) ?? '';
  }

  microphone(): MediaStreamTrack | null {
    return this.room?.microphone() ?? null;
  }

  dismissNotice(): void {
    this.set({ notice: null });
  }

  private get state(): CallState {
    return this.store.getState();
  }

  private set(change: Partial<CallState>): void {
    this.store.setState(change);
  }

  private step(step: Step, change: Partial<CallState> = {}): boolean {
    const phase = next(this.state.phase, step);
    if (phase === null) return false;
    this.set({ ...change, phase });
    return true;
  }

  /** Ticket, library and devices at the same time: the slowest of them decides, not their sum. */
  private async connect(entry: Entry, attempt: number): Promise<[OpenTracks, MediaRoom]> {
    const ticket = entry.ticket ?? this.ports.requestTicket(entry);
    const opening = this.ports.openRoom(this.listener(attempt), entry.choices);
    const [tracks, way, room] = await Promise.all([entry.openTracks(), ticket, opening]);
    this.connecting = room;
    try {
      if (attempt !== this.attempt) throw new Failure('internal', { detail: 'cancelled' });
      await room.connect(way.url, way.token);
      return [tracks, room];
    } finally {
      this.connecting = null;
    }
  }

  private listener(attempt: number): MediaRoomListener {
    const current = (then: () => void): void => {
      if (attempt === this.attempt) then();
    };
    return {
      changed: (people, switches) =>
        current(() => this.set({ people: reconcile(this.state.people, people), switches })),
      interrupted: () =>
        current(() => {
          if (this.step('interrupted')) this.timer.start();
        }),
      restored: () => current(() => this.restored()),
      ended: (failure) => current(() => void this.end(failure)),
      audioBlocked: (audioBlocked) => current(() => this.set({ audioBlocked })),
      deviceFailed: (notice) => current(() => this.set({ notice })),
    };
  }

  private restored(): void {
    const shown = this.state.interruption !== 'none';
    if (!this.step('restored')) return;
    this.timer.stop();
    if (!shown) return;
    this.set({ back: true });
    this.ports.clock.setTimeout(() => this.set({ back: false }), BACK_SHOWN_MS);
  }

  private async end(failure: Failure | null): Promise<void> {
    const { room } = this;
    if (!this.step(failure === null ? 'leave' : 'failed', { failure })) return;
    const cancelled = this.connecting;
    this.room = null;
    this.attempt += 1;
    this.timer.stop();
    this.set({
      people: [],
      switches: OFF,
      busy: OFF,
      notice: null,
      audioBlocked: false,
      back: false,
    });
    await (room ?? cancelled)?.leave().catch(() => undefined);
  }

  /** A failure inside a call is a notice: the call goes on. */
  private async guard(work: () => Promise<unknown> | undefined): Promise<void> {
    const { attempt } = this;
    try {
      await work();
    } catch (error) {
      if (attempt === this.attempt) this.set({ notice: asFailure(error) });
    }
  }
}
