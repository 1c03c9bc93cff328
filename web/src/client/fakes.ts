// Stand-ins for a machine's devices, for tests: what is plugged in, what is allowed, what was asked.

export class FakeTrack extends EventTarget {
  readyState: 'live' | 'ended' = 'live';

  constructor(
    readonly kind: 'audio' | 'video',
    readonly id: string,
  ) {
    super();
  }

  stop(): void {
    this.readyState = 'ended';
  }

  /** What happens when a device is unplugged. */
  unplug(): void {
    this.readyState = 'ended';
    this.dispatchEvent(new Event('ended'));
  }
}

type Refusal = 'NotAllowedError' | 'NotFoundError' | 'NotReadableError';

export class FakeMachine extends EventTarget {
  readonly asked: MediaStreamConstraints[] = [];
  readonly opened: FakeTrack[] = [];
  refuse: { camera?: Refusal; microphone?: Refusal } = {};
  permissions: Record<string, PermissionState> = { camera: 'prompt', microphone: 'prompt' };

  async getUserMedia(constraints: MediaStreamConstraints): Promise<MediaStream> {
    this.asked.push(constraints);
    const wanted = { microphone: constraints.audio, camera: constraints.video };
    for (const device of ['microphone', 'camera'] as const) {
      const refusal = this.refuse[device];
      if (refusal !== undefined && wanted[device]) throw new DOMException('refused', refusal);
    }
    const tracks = [
      ...(constraints.audio ? [new FakeTrack('audio', `audio-${this.asked.length}`)] : []),
      ...(constraints.video ? [new FakeTrack('video', `video-${this.asked.length}`)] : []),
    ];
    this.opened.push(...tracks);
    const of = (kind: string) => tracks.filter((track) => track.kind === kind);
    return {
      getTracks: () => tracks,
      getAudioTracks: () => of('audio'),
      getVideoTracks: () => of('video'),
    } as unknown as MediaStream;
  }

  async enumerateDevices(): Promise<MediaDeviceInfo[]> {
    const device = (kind: MediaDeviceKind, deviceId: string) =>
      ({ kind, deviceId, label: `label of ${deviceId}` }) as MediaDeviceInfo;
    return [
      device('audioinput', 'mic-1'),
      device('videoinput', 'cam-1'),
      device('videoinput', 'cam-2'),
      device('audiooutput', ''),
    ];
  }

  async query({ name }: { name: string }): Promise<{ state: PermissionState }> {
    return { state: this.permissions[name] ?? 'prompt' };
  }
}
