// The lobby's camera and microphone: opens them, shows what failed, hands the tracks to the call.
// Owner of the tracks until release(); the devices chosen here are the call's, too.
import { createStore } from 'zustand/vanilla';
import type { StoreApi } from 'zustand/vanilla';
import { NO_DEVICES } from './devices';
import type { DeviceKind, DeviceList, Devices, Opened } from './devices';
import type { Failure } from './errors';
import type { PreferenceStore } from './preferences';

export interface PreviewState {
  /** `idle`: the browser has not been asked yet, so that nobody meets a prompt without warning. */
  readonly status: 'idle' | 'starting' | 'open';
  readonly microphone: MediaStreamTrack | null;
  readonly camera: MediaStreamTrack | null;
  readonly wanted: { readonly microphone: boolean; readonly camera: boolean };
  readonly chosen: Readonly<Record<DeviceKind, string>>;
  readonly devices: DeviceList;
  readonly failures: readonly Failure[];
}

type Toggle = 'microphone' | 'camera';

export class Preview {
  readonly store: StoreApi<PreviewState>;
  private opening: Promise<void> | null = null;

  constructor(
    readonly devices: Devices,
    private readonly preferences: PreferenceStore,
  ) {
    const { microphone, camera, audioinput, videoinput, audiooutput } = preferences.get();
    this.store = createStore<PreviewState>(() => ({
      status: 'idle',
      microphone: null,
      camera: null,
      wanted: { microphone, camera },
      chosen: { audioinput, videoinput, audiooutput },
      devices: NO_DEVICES,
      failures: [],
    }));
    devices.onChange(() => void this.refresh());
  }

  /** Opens at once when the browser will not ask; otherwise waits for start(). */
  async arrive(): Promise<void> {
    if (this.devices.obstacle() !== null) return;
    await this.refresh();
    if (await this.devices.granted()) await this.start();
  }

  /** Opens whatever is wanted and not open yet. */
  start(): Promise<void> {
    this.opening ??= this.open().finally(() => {
      this.opening = null;
    });
    return this.opening;
  }

  /** A device that is wanted and failed is tried again. */
  async toggle(which: Toggle): Promise<void> {
    if (this.state.wanted[which] && this.state.status === 'open' && this.state[which] === null) {
      await this.start();
      return;
    }
    const wanted = { ...this.state.wanted, [which]: !this.state.wanted[which] };
    this.preferences.set({ [which]: wanted[which] });
    this.set({ wanted, failures: [] });
    if (!wanted[which]) this.drop(which);
    else if (this.state.status === 'open') await this.start();
  }

  async choose(kind: DeviceKind, id: string): Promise<void> {
    this.remember(kind, id);
    if (kind === 'audiooutput' || this.state.status !== 'open') return;
    const which = kind === 'audioinput' ? 'microphone' : 'camera';
    this.drop(which);
    this.set({ failures: [] });
    await this.start();
  }

  remember(kind: DeviceKind, id: string): void {
    this.preferences.set({ [kind]: id });
    this.set({ chosen: { ...this.state.chosen, [kind]: id } });
  }

  /** Opens what is missing, for a call that is being joined; the first failure stops the join. */
  async lend(): Promise<Pick<Opened, 'microphone' | 'camera'>> {
    const { wanted } = this.state;
    if (wanted.microphone || wanted.camera) await this.start();
    const [failure] = this.state.failures;
    if (failure !== undefined) throw failure;
    const { microphone, camera } = this.state;
    return { microphone, camera };
  }

  /** The call owns the tracks now and will stop them. */
  release(): void {
    this.set({ microphone: null, camera: null, status: 'idle' });
  }

  /** Gives the devices back to the system. */
  stop(): void {
    this.drop('microphone');
    this.drop('camera');
    this.set({ status: 'idle', failures: [] });
  }

  private get state(): PreviewState {
    return this.store.getState();
  }

  private set(change: Partial<PreviewState>): void {
    this.store.setState(change);
  }

  private async open(): Promise<void> {
    const { wanted, chosen, microphone, camera } = this.state;
    const missing = {
      microphone: wanted.microphone && microphone === null ? chosen.audioinput : null,
      camera: wanted.camera && camera === null ? chosen.videoinput : null,
    };
    if (missing.microphone === null && missing.camera === null) {
      this.set({ status: 'open', failures: [] });
      return;
    }
    this.set({ status: 'starting', failures: [] });
    const opened = await this.devices.open(missing);
    this.set({ status: 'open', failures: opened.failures });
    this.keep('microphone', opened.microphone);
    this.keep('camera', opened.camera);
    await this.refresh();
  }

  /** A switch may have been turned off while the browser was asking. */
  private keep(which: Toggle, track: MediaStreamTrack | null): void {
    if (track === null) return;
    if (!this.state.wanted[which]) {
      track.stop();
      return;
    }
    track.addEventListener('ended', () => {
      if (this.state[which] === track) this.set({ [which]: null });
    });
    this.set({ [which]: track });
  }

  private drop(which: Toggle): void {
    this.state[which]?.stop();
    this.set({ [which]: null });
  }

  private async refresh(): Promise<void> {
    this.set({ devices: await this.devices.list().catch(() => NO_DEVICES) });
  }
}
