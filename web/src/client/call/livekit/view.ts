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
  const camera = sent(participant, Track.Source.Camera);
  return {
    id: participant.sid || participant.identity,
    name: participant.name || participant.identity,
    local,
    joinedAt: participant.joinedAt?.getTime() ?? 0,
    microphone: participant.isMicrophoneEnabled ? 'on' : 'muted',
    camera: picture(camera),
    waiting: camera !== undefined && camera.track === undefined,
    paused: camera?.track?.streamState === Track.StreamState.Paused,
    screen: picture(sent(participant, Track.Source.ScreenShare)),
    speaking: participant.isSpeaking,
    spokeAt: participant.lastSpokeAt?.getTime() ?? 0,
    quality: quality(participant.connectionQuality),
  };
}

/** What is published and not switched off. */
function sent(participant: Participant, source: Track.Source): TrackPublication | undefined {
  const publication = participant.getTrackPublication(source);
  return publication === undefined || publication.isMuted ? undefined : publication;
}

function picture(publication: TrackPublication | undefined): Picture | null {
  return publication?.track ?? null;
}

function quality(value: ConnectionQuality): Quality {
  if (value === ConnectionQuality.Poor) return 'poor';
  return value === ConnectionQuality.Lost ? 'lost' : 'good';
}
