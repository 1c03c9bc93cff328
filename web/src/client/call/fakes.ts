// A call without a network, and time that moves when told to. For tests of session.ts.
import type { Failure } from '../errors';
import type { Clock } from './interruption';
import type { MediaRoom, MediaRoomListener, OpenTracks, Source, Switches } from './media-room';
import type { Person } from './people';

export class FakeClock implements Clock {
  private now = 0;
  private serial = 0;
  private readonly due = new Map<number, { at: number; run: () => void }>();

  setTimeout(run: () => void, ms: number): number {
    this.serial += 1;
    this.due.set(this.serial, { at: this.now + ms, run });
    return this.serial;
  }

  clearTimeout(handle: number): void {
    this.due.delete(handle);
  }

  /** Runs what falls due within `ms`, in order. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const ready = [...this.due].filter(([, { at }]) => at <= end);
      const [first] = ready.toSorted(([, a], [, b]) => a.at - b.at);
      if (first === undefined) break;
      const [handle, { at, run }] = first;
      this.due.delete(handle);
      this.now = at;
      run();
    }
    this.now = end;
  }

  get waiting(): number {
    return this.due.size;
  }
}

export class FakeRoom implements MediaRoom {
  connected: string[] = [];
  published: OpenTracks[] = [];
  turned: [Source, boolean][] = [];
  left = false;
  refusal: Failure | null = null;
  trouble: Failure | null = null;
  /** Resolves connect(); null lets it resolve by itself. */
  gate: Promise<void> | null = null;

  constructor(readonly listener: MediaRoomListener) {}

  async connect(url: string, token: string): Promise<void> {
    this.connected.push(`${url} ${token}`);
    await this.gate;
    if (this.refusal !== null) throw this.refusal;
  }

  async publish(tracks: OpenTracks): Promise<void> {
    this.published.push(tracks);
    if (this.trouble !== null) throw this.trouble;
  }

  async turn(source: Source, on: boolean): Promise<boolean> {
    this.turned.push([source, on]);
    if (this.trouble !== null) throw this.trouble;
    return true;
  }

  async choose(): Promise<void> {
    if (this.trouble !== null) throw this.trouble;
  }

  inUse(): string {
    return 'default';
  }

  async startAudio(): Promise<void> {
    this.listener.audioBlocked(false);
  }

  microphone(): MediaStreamTrack | null {
    return null;
  }

  async leave(): Promise<void> {
    this.left = true;
  }
}

export const OFF: Switches = { microphone: false, camera: false, screen: false };

export function person(name: string, more: Partial<Person> = {}): Person {
  return {
    id: name.toLowerCase(),
    name,
    local: false,
    joinedAt: 0,
    microphone: 'on',
    camera: null,
    waiting: false,
    paused: false,
    screen: null,
    speaking: false,
    spokeAt: 0,
    quality: 'good',
    ...more,
  };
}
