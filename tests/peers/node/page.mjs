// The test page: livekit-client behind the commands of the driver protocol. It samples every
// subscribed track each 100 ms and keeps the longest time without growth of packetsReceived.
import { Room, RoomEvent, Track, VideoPreset, createLocalAudioTrack, createLocalVideoTrack } from 'livekit-client';

const watched = new Map();
const publications = new Map();
const inbox = [];
const events = [];
let room;

/** The first such stream of a track, and its codec. */
async function numbersOf(track, type = 'inbound-rtp') {
  const report = await track.getRTCStatsReport();
  const found = [...(report?.values() ?? [])].find((stat) => stat.type === type);
  return found && { ...found, mime: report.get(found.codecId)?.mimeType ?? '' };
}

async function sample() {
  for (const entry of watched.values()) {
    const stat = await numbersOf(entry.track);
    if (!stat) continue;
    const now = performance.now();
    if (stat.packetsReceived > entry.packets) {
      entry.gap = Math.max(entry.gap, now - entry.last);
      entry.last = now;
    }
    entry.packets = stat.packetsReceived;
    entry.numbers = {
      mime: stat.mime,
      packets: stat.packetsReceived ?? 0,
      bytes: stat.bytesReceived ?? 0,
      lost: stat.packetsLost ?? 0,
      jitter: stat.jitter ?? 0,
      frames: stat.framesDecoded ?? 0,
      width: stat.frameWidth ?? 0,
      height: stat.frameHeight ?? 0,
      samples: stat.totalSamplesReceived ?? 0,
      concealed: stat.concealedSamples ?? 0,
      energy: stat.totalAudioEnergy ?? 0,
      nacks: stat.nackCount ?? 0,
      freezes: stat.freezeCount ?? 0,
      freeze_s: stat.totalFreezesDuration ?? 0,
      dropped: stat.framesDropped ?? 0,
      discarded: stat.packetsDiscarded ?? 0,
    };
  }
  setTimeout(sample, 100);
}
sample();

function listen() {
  const note = (text) => events.push(text);
  room
    .on(RoomEvent.TrackSubscribed, (track, publication) => {
      document.body.append(track.attach());
      watched.set(publication.trackSid, { track, gap: 0, last: performance.now(), packets: -1, numbers: {} });
      publications.set(publication.trackSid, publication);
    })
    .on(RoomEvent.TrackUnsubscribed, (track, publication) => {
      track.detach().forEach((element) => element.remove());
      watched.delete(publication.trackSid);
      note(`unsubscribed:${publication.trackSid}`);
    })
    .on(RoomEvent.DataReceived, (payload, participant, kind, topic) => {
      const data = new TextDecoder().decode(payload);
      inbox.push({ kind: 'data', topic, data, from: participant?.identity ?? '', reliable: kind === 0 });
    })
    .on(RoomEvent.ParticipantConnected, (p) => note(`joined:${p.identity}`))
    .on(RoomEvent.ParticipantDisconnected, (p) => note(`left:${p.identity}`))
    .on(RoomEvent.Reconnecting, () => note('reconnecting'))
    .on(RoomEvent.SignalReconnecting, () => note('signal reconnecting'))
    .on(RoomEvent.Reconnected, () => note('reconnected'))
    .on(RoomEvent.Disconnected, (reason) => note(`disconnected:${reason}`))
    .on(RoomEvent.LocalTrackPublished, (p) => note(`published:${p.trackSid}`))
    .on(RoomEvent.ConnectionQualityChanged, (q, p) => note(`quality:${p.identity}:${q}`));
  room.registerTextStreamHandler('text', async (reader, from) => {
    inbox.push({ kind: 'text', topic: 'text', data: await reader.readAll(), from: from.identity });
  });
  room.registerByteStreamHandler('bytes', async (reader, from) => {
    const parts = await reader.readAll();
    const data = new TextDecoder().decode(await new Blob(parts).arrayBuffer());
    inbox.push({ kind: 'bytes', topic: 'bytes', data, from: from.identity });
  });
  room.registerRpcMethod('echo', async (call) => `echo:${call.payload}`);
}

window.peer = {
  async join({ url, token, single = true, adaptive = false, dynacast = false, relay = false }) {
    room = new Room({ singlePeerConnection: single, adaptiveStream: adaptive, dynacast });
    listen();
    await room.connect(url, token, { rtcConfig: relay ? { iceTransportPolicy: 'relay' } : undefined });
    return { sid: room.localParticipant.sid, room: await room.getSid() };
  },
  async publish({ kind, simulcast = false, width = 320, height = 180, codec = 'vp8', mode }) {
    if (kind === 'audio') {
      const microphone = await createLocalAudioTrack();
      const publication = await room.localParticipant.publishTrack(microphone, { dtx: false });
      return { sid: publication.trackSid };
    }
    const camera = await createLocalVideoTrack({ resolution: { width, height, frameRate: 15 } });
    const layers = [new VideoPreset(320, 180, 120_000, 15), new VideoPreset(640, 360, 300_000, 15)];
    const publication = await room.localParticipant.publishTrack(camera, {
      simulcast,
      videoCodec: codec,
      scalabilityMode: mode,
      backupCodec: false,
      videoEncoding: { maxBitrate: 900_000, maxFramerate: 15 },
      videoSimulcastLayers: layers,
      source: Track.Source.Camera,
    });
    return { sid: publication.trackSid };
  },
  /** What the encoder of our own track says of itself. */
  async encoder({ sid }) {
    const publication = room.localParticipant.trackPublications.get(sid);
    const { mime, scalabilityMode, frameWidth, framesEncoded } = await numbersOf(publication.track, 'outbound-rtp');
    return { mime, mode: scalabilityMode ?? '', width: frameWidth ?? 0, frames: framesEncoded ?? 0 };
  },
  async unpublish({ sid }) {
    const publication = [...room.localParticipant.trackPublications.values()].find((p) => p.trackSid === sid);
    await room.localParticipant.unpublishTrack(publication.track);
  },
  async quality({ sid, quality }) {
    publications.get(sid).setVideoQuality(quality);
  },
  async subscribe({ sid, on }) {
    publications.get(sid).setSubscribed(on);
  },
  async send({ data, reliable = true, topic = '', to = [] }) {
    await room.localParticipant.publishData(new TextEncoder().encode(data), { reliable, topic, destinationIdentities: to });
  },
  async rpc({ to, payload }) {
    return { payload: await room.localParticipant.performRpc({ destinationIdentity: to, method: 'echo', payload }) };
  },
  async text({ data }) {
    await room.localParticipant.sendText(data, { topic: 'text' });
  },
  async bytes({ data }) {
    const raw = new TextEncoder().encode(data);
    const writer = await room.localParticipant.streamBytes({ name: 'blob', totalSize: raw.length, topic: 'bytes' });
    await writer.write(raw);
    await writer.close();
  },
  async simulate({ scenario }) {
    await room.simulateScenario(scenario);
  },
  async transport() {
    const pairs = [];
    const { publisher, subscriber } = room.engine.pcManager;
    for (const transport of [publisher, subscriber]) {
      const stats = await transport?.getStats();
      const byId = new Map();
      stats?.forEach((stat) => byId.set(stat.id, stat));
      for (const stat of byId.values()) {
        const local = byId.get(stat.localCandidateId);
        if (stat.type !== 'candidate-pair' || !stat.nominated || !local) continue;
        pairs.push({ protocol: local.protocol, type: local.candidateType, relay: local.relayProtocol ?? '', address: local.address, rtt: stat.currentRoundTripTime });
      }
    }
    return { pairs };
  },
  async stats() {
    const reports = [...watched].map(([sid, entry]) => ({
      sid,
      kind: entry.track.kind,
      gap_ms: Math.round(Math.max(entry.gap, performance.now() - entry.last)),
      packets: 0,
      bytes: 0,
      frames: 0,
      lost: 0,
      width: 0,
      height: 0,
      ...entry.numbers,
    }));
    const remote = [...room.remoteParticipants.values()];
    return {
      state: room.state,
      sid: room.localParticipant.sid,
      participants: remote.map((p) => p.identity).sort(),
      published: [...room.localParticipant.trackPublications.keys()].sort(),
      remote: remote.flatMap((p) => [...p.trackPublications.keys()]).sort(),
      tracks: reports,
      inbox,
      events,
    };
  },
  async reset_gap() {
    for (const entry of watched.values()) Object.assign(entry, { gap: 0, last: performance.now() });
  },
  async leave() {
    await room?.disconnect();
  },
};
