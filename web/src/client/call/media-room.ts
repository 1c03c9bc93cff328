// The port between our call and the library that carries it. session.ts drives it; livekit/room.ts
// implements it; tests bring a fake. Every method that fails throws a Failure.
import type { Failure } from '../errors';
import type { DeviceKind } from '../devices';
import type { Person } from './people';

export type Source = 'microphone' | 'camera' | 'screen';
export type Switches = Readonly<Record<Source, boolean>>;

export interface OpenTracks {
  readonly microphone: MediaStreamTrack | null;
  readonly camera: MediaStreamTrack | null;
}

export interface MediaRoom {
  connect(url: string, token: string): Promise<void>;
  /** Takes ownership of the tracks. Throws the first failure after trying both. */
  publish(tracks: OpenTracks): Promise<void>;
  /** False when the person changed their mind in the browser's own dialog. */
  turn(source: Source, on: boolean): Promise<boolean>;
  choose(kind: DeviceKind, id: string): Promise<void>;
  /** The device that is used now, '' when unknown. */
  inUse(kind: DeviceKind): string;
  /** From a click: browsers play no sound on a page that nobody has touched. */
  startAudio(): Promise<void>;
  /** The track that is sent now, for the level meter. */
  microphone(): MediaStreamTrack | null;
  leave(): Promise<void>;
}

export interface MediaRoomListener {
  changed(people: readonly Person[], switches: Switches): void;
  interrupted(): void;
  restored(): void;
  /** The server or the network ended the call; not called after leave(). */
  ended(failure: Failure): void;
  audioBlocked(blocked: boolean): void;
  deviceFailed(failure: Failure): void;
}

export interface RoomChoices {
  readonly audioinput: string;
  readonly videoinput: string;
  readonly audiooutput: string;
}

export type OpenRoom = (listener: MediaRoomListener, choices: RoomChoices) => Promise<MediaRoom>;
