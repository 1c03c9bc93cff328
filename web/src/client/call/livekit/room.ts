// The MediaRoom that livekit-client carries. Loaded lazily: the lobby works without it. Translates
// events and errors, and decides the capture and publish options; everything else is the library's.
import {
  LocalAudioTrack,
  LocalVideoTrack,
  MediaDeviceFailure,
  Room,
  RoomEvent,
  Track,
  setLogLevel,
} from 'livekit-client';
import type { DisconnectReason, RemoteTrack, RoomOptions } from 'livekit-client';
import { Failure, fromDevice, fromShare } from '../../errors';
import type { DeviceKind } from '../../devices';
import type { MediaRoom, MediaRoomListener, OpenTracks, RoomChoices, Source } from '../media-room';
import { fromConnect, fromDisconnect } from './errors';
import { viewPeople, viewSwitches } from './view';

const DEVICE = { audioinput: 'microphone', videoinput: 'camera', audiooutput: 'speaker' } as const;

/** Events after which somebody may look different. All end in one snapshot per task. */
const CHANGES = [
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.TrackStreamStateChanged,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.ActiveSpeakersChanged,
  RoomEvent.ConnectionQualityChanged,
  RoomEvent.Connected,
  RoomEvent.Reconnected,
] as const;

export class LiveKitRoom implements MediaRoom {
  private readonly room: Room;
  private leaving = false;
  private connected = false;
  private scheduled = false;
  private interruptedAt: number | null = null;

  constructor(
    private readonly listener: MediaRoomListener,
    choices: RoomChoices,
  ) {
    setLogLevel('error');
    this.room = new Room(options(choices));
    this.listen();
  }

  async connect(url: string, token: string): Promise<void> {
    try {
      await this.room.connect(url, token);
      this.connected = true;
      this.listener.audioBlocked(!this.room.canPlaybackAudio);
      this.publishView();
    } catch (error) {
      throw await fromConnect(error, () => fetch(validateUrl(url, token)));
    }
  }

  async publish(tracks: OpenTracks): Promise<void> {
    const { localParticipant: local } = this.room;
    const sent: Promise<unknown>[] = [];
    if (tracks.microphone !== null) {
      // `false`: the library owns the track and may stop and reopen it.
      const track = new LocalAudioTrack(tracks.microphone, undefined, false);
      sent.push(local.publishTrack(track, { source: Track.Source.Microphone }));
    }
    if (tracks.camera !== null) {
      const track = new LocalVideoTrack(tracks.camera, undefined, false);
      sent.push(local.publishTrack(track, { source: Track.Source.Camera }));
    }
    const failed = (await Promise.allSettled(sent)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw fromDevice(failed.reason, 'both');
  }

  async turn(source: Source, on: boolean): Promise<boolean> {
    const { localParticipant: local } = this.room;
    try {
      if (source === 'microphone') await local.setMicrophoneEnabled(on);
      else if (source === 'camera') await local.setCameraEnabled(on);
      else await local.setScreenShareEnabled(on, { audio: true, selfBrowserSurface: 'exclude' });
    } catch (error) {
      const failure = source === 'screen' ? fromShare(error) : fromDevice(error, source);
      if (failure !== null) throw failure;
      return false;
    } finally {
      this.publishView();
    }
    return true;
  }

  async choose(kind: DeviceKind, id: string): Promise<void> {
    try {
      await this.room.switchActiveDevice(kind, id === '' ? 'default' : id, id !== '');
    } catch (error) {
      throw fromDevice(error, DEVICE[kind]);
    }
  }

  inUse(kind: DeviceKind): string {
    return this.room.getActiveDevice(kind) ?? '';
  }

  async startAudio(): Promise<void> {
    await this.room.startAudio();
  }

  microphone(): MediaStreamTrack | null {
    const { localParticipant: local } = this.room;
    return local.getTrackPublication(Track.Source.Microphone)?.track?.mediaStreamTrack ?? null;
  }

  async leave(): Promise<void> {
    this.leaving = true;
    await this.room.disconnect();
  }

  private listen(): void {
    const { room, listener } = this;
    for (const event of CHANGES) room.on(event, this.changed);
    room.on(RoomEvent.TrackSubscribed, play);
    room.on(RoomEvent.TrackUnsubscribed, silence);
    room.on(RoomEvent.SignalReconnecting, this.interrupted);
    room.on(RoomEvent.Reconnecting, this.interrupted);
    room.on(RoomEvent.Reconnected, () => {
      this.interruptedAt = null;
      listener.restored();
    });
    room.on(RoomEvent.Disconnected, this.disconnected);
    room.on(RoomEvent.AudioPlaybackStatusChanged, () => {
      listener.audioBlocked(!room.canPlaybackAudio);
    });
    room.on(RoomEvent.MediaDevicesError, (error, kind) => {
      const device = kind === undefined ? 'both' : DEVICE[kind];
      // A refusal reaches whoever asked; this event also covers devices that fail by themselves.
      if (MediaDeviceFailure.getFailure(error) !== MediaDeviceFailure.PermissionDenied) {
        listener.deviceFailed(fromDevice(error, device));
      }
    });
  }

  private readonly changed = (): void => {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.publishView();
    });
  };

  private publishView(): void {
    if (!this.connected || this.leaving) return;
    this.listener.changed(viewPeople(this.room), viewSwitches(this.room.localParticipant));
  }

  private readonly interrupted = (): void => {
    this.interruptedAt ??= performance.now();
    this.listener.interrupted();
  };

  private readonly disconnected = (reason?: DisconnectReason): void => {
    if (this.leaving || !this.connected) return;
    this.leaving = true;
    const since = this.interruptedAt ?? performance.now();
    const seconds = Math.max(1, Math.round((performance.now() - since) / 1_000));
    this.listener.ended(fromDisconnect(reason, seconds));
  };
}

function play(track: RemoteTrack): void {
  if (track.kind === Track.Kind.Audio) track.attach();
}

function silence(track: RemoteTrack): void {
  if (track.kind !== Track.Kind.Audio) return;
  for (const element of track.detach()) element.remove();
}

function prefer(id: string): { deviceId?: ConstrainDOMString } {
  return id === '' ? {} : { deviceId: { ideal: id } };
}

function options(choices: RoomChoices): RoomOptions {
  return {
    adaptiveStream: true,
    dynacast: true,
    audioCaptureDefaults: {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      ...prefer(choices.audioinput),
    },
    videoCaptureDefaults: prefer(choices.videoinput),
    ...(choices.audiooutput === '' ? {} : { audioOutput: { deviceId: choices.audiooutput } }),
  };
}

function validateUrl(url: string, token: string): URL {
  const target = new URL(url.replace(/^ws/, 'http'));
  target.pathname = `${target.pathname.replace(/\/$/, '')}/rtc/validate`;
  target.searchParams.set('access_token', token);
  return target;
}

export function openLiveKitRoom(listener: MediaRoomListener, choices: RoomChoices): MediaRoom {
  if (typeof RTCPeerConnection === 'undefined') throw new Failure('not_supported');
  return new LiveKitRoom(listener, choices);
}
