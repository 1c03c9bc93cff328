// Turns the library's participants into Person values. Reads only; room.ts says when.
import { ConnectionQuality, Track } from 'livekit-client';
import type { LocalParticipant, Participant, Room, TrackPublication } from 'livekit-client';
import type { Switches } from '../media-room';
import type { Person, Picture, Quality } from '../people';

export function viewPeople(room: Room): readonly Person[] {
  return [room.localParticipant, ...room.remoteParticipants.values()].map((participant) =>
    viewPerson(participant, participant.isLocal),
  );
}

export function viewSwitches(local: LocalParticipant): Switches {
  return {
    microphone: local.isMicrophoneEnabled,
    camera: local.isCameraEnabled,
    screen: local.isScreenShareEnabled,
  };
}

function viewPerson(participant: Participant, local: boolean): Person {
  const camera = participant.getTrackPublication(Track.Source.Camera);
  const screen = participant.getTrackPublication(Track.Source.ScreenShare);
  const sent = camera !== undefined && !camera.isMuted;
  return {
    id: participant.sid === '' ? participant.identity : participant.sid,
    name: participant.name === undefined || participant.name === '' ? participant.identity : participant.name,
    local,
    joinedAt: participant.joinedAt?.getTime() ?? 0,
    microphone: participant.isMicrophoneEnabled ? 'on' : 'muted',
    camera: sent ? picture(camera) : null,
    waiting: sent && picture(camera) === null,
    paused: sent && camera.track?.streamState === Track.StreamState.Paused,
    screen: screen === undefined || screen.isMuted ? null : picture(screen),
    speaking: participant.isSpeaking,
    spokeAt: participant.lastSpokeAt?.getTime() ?? 0,
    quality: quality(participant.connectionQuality),
  };
}

function picture(publication: TrackPublication): Picture | null {
  return publication.track ?? null;
}

function quality(value: ConnectionQuality): Quality {
  if (value === ConnectionQuality.Poor) return 'poor';
  return value === ConnectionQuality.Lost ? 'lost' : 'good';
}
