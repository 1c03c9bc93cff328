// The media devices of this machine, behind one small object so that tests can bring their own.
// Chooses and opens; what to do with a track is up to preview.ts and the call.
import { Failure, fromDevice } from './errors';
import type { Device } from './errors';

export type DeviceKind = 'audioinput' | 'videoinput' | 'audiooutput';

export interface DeviceChoice {
  readonly id: string;
  readonly label: string;
}
export type DeviceList = Readonly<Record<DeviceKind, readonly DeviceChoice[]>>;

export const NO_DEVICES: DeviceList = { audioinput: [], videoinput: [], audiooutput: [] };

export interface Wanted {
  /** A device id, '' for the browser's default, null for none at all. */
  readonly microphone: string | null;
  readonly camera: string | null;
}

export interface Opened {
  readonly microphone: MediaStreamTrack | null;
  readonly camera: MediaStreamTrack | null;
  readonly failures: readonly Failure[];
}

export class Devices {
  constructor(
    private readonly media: MediaDevices | undefined,
    private readonly permissions: Permissions | undefined,
    private readonly secure: boolean,
  ) {}

  /** Why no call can be placed here at all, or null. */
  obstacle(): Failure | null {
    if (!this.secure) return new Failure('insecure_page');
    if (this.media === undefined || !('RTCPeerConnection' in globalThis)) {
      return new Failure('not_supported');
    }
    return null;
  }

  canShare(): boolean {
    return this.media !== undefined && 'getDisplayMedia' in this.media;
  }

  canChooseSpeaker(): boolean {
    return 'HTMLMediaElement' in globalThis && 'setSinkId' in HTMLMediaElement.prototype;
  }

  onChange(listener: () => void): () => void {
    this.media?.addEventListener('devicechange', listener);
    return () => this.media?.removeEventListener('devicechange', listener);
  }

  async list(): Promise<DeviceList> {
    const found = (await this.media?.enumerateDevices()) ?? [];
    const of = (kind: DeviceKind): DeviceChoice[] =>
      found
        .filter((device) => device.kind === kind && device.deviceId !== '')
        .map((device) => ({ id: device.deviceId, label: device.label }));
    return {
      audioinput: of('audioinput'),
      videoinput: of('videoinput'),
      audiooutput: of('audiooutput'),
    };
  }

  /** True when opening both would not show a prompt. Browsers that cannot say count as "would ask". */
  async granted(): Promise<boolean> {
    const states = await Promise.all([this.permission('camera'), this.permission('microphone')]);
    return states.every((state) => state === 'granted');
  }

  /** One prompt for both where possible; what fails is reported beside what works. */
  async open(wanted: Wanted): Promise<Opened> {
    const { microphone, camera } = wanted;
    if (microphone === null || camera === null) return this.openEach(wanted);
    try {
      const stream = await this.request({ audio: audio(microphone), video: video(camera) });
      return {
        microphone: stream.getAudioTracks()[0] ?? null,
        camera: stream.getVideoTracks()[0] ?? null,
        failures: [],
      };
    } catch (error) {
      const failure = fromDevice(error, 'both');
      // Asking twice more after a plain "no" would be rude; only what is not denied is tried again.
      if (failure.code === 'device_denied') return this.openUndenied(wanted, failure);
      return this.openEach(wanted);
    }
  }

  private async openUndenied(wanted: Wanted, failure: Failure): Promise<Opened> {
    const [camera, microphone] = await Promise.all([
      this.permission('camera'),
      this.permission('microphone'),
    ]);
    const one = (camera === 'denied') !== (microphone === 'denied');
    if (!one) return { microphone: null, camera: null, failures: [failure] };
    const opened = await this.openEach({
      microphone: microphone === 'denied' ? null : wanted.microphone,
      camera: camera === 'denied' ? null : wanted.camera,
    });
    const device = camera === 'denied' ? 'camera' : 'microphone';
    return { ...opened, failures: [new Failure('device_denied', { device }), ...opened.failures] };
  }

  private async openEach(wanted: Wanted): Promise<Opened> {
    const failures: Failure[] = [];
    const one = async (device: Device, constraints: MediaStreamConstraints) => {
      try {
        return (await this.request(constraints)).getTracks()[0] ?? null;
      } catch (error) {
        failures.push(fromDevice(error, device));
        return null;
      }
    };
    const { microphone: mic, camera: cam } = wanted;
    const microphone = mic === null ? null : await one('microphone', { audio: audio(mic) });
    const camera = cam === null ? null : await one('camera', { video: video(cam) });
    return { microphone, camera, failures: merge(failures) };
  }

  private request(constraints: MediaStreamConstraints): Promise<MediaStream> {
    if (this.media === undefined) throw this.obstacle() ?? new Failure('not_supported');
    return this.media.getUserMedia(constraints);
  }

  private async permission(name: 'camera' | 'microphone'): Promise<PermissionState | 'unknown'> {
    try {
      return (await this.permissions?.query({ name: name as PermissionName }))?.state ?? 'unknown';
    } catch {
      return 'unknown';
    }
  }
}

/** A remembered device may be gone: `ideal` then falls back where `exact` would fail. */
function audio(id: string): MediaTrackConstraints {
  const processing = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return id === '' ? processing : { ...processing, deviceId: { ideal: id } };
}

function video(id: string): MediaTrackConstraints {
  const size = {
    width: { ideal: 1280 },
    height: { ideal: 720 },
    frameRate: { ideal: 30, max: 30 },
  };
  return id === '' ? { ...size, facingMode: 'user' } : { ...size, deviceId: { ideal: id } };
}

/** "No camera" and "no microphone" together read better as one sentence. */
function merge(failures: readonly Failure[]): readonly Failure[] {
  const [first, second] = failures;
  if (first === undefined || second === undefined || first.code !== second.code) return failures;
  return [new Failure(first.code, { device: 'both', detail: first.message })];
}
