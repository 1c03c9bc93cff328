// werift (a WebRTC stack in TypeScript) as an SDP peer.
import { MediaStreamTrack, RTCPeerConnection, useOPUS, useVP8 } from 'werift';
import { serve } from './lines.mjs';
import { Counter, rtpOf } from './rtp_source.mjs';

const pc = new RTCPeerConnection({
  iceServers: [],
  iceAdditionalHostAddresses: ['127.0.0.1'],
  bundlePolicy: 'max-bundle',
  codecs: { audio: [useOPUS()], video: [useVP8()] },
});
const channels = new Map();
const messages = [];
const counters = [];

pc.onTrack.subscribe((track) => {
  const counter = new Counter(track.uuid, track.kind);
  counters.push(counter);
  track.onReceiveRtp.subscribe((packet) => counter.packet(packet.serialize()));
});

serve({
  async offer({ publish, subscribe, channels: labels, audio, video }) {
    for (const label of labels) {
      const reliable = label === '_reliable';
      const channel = pc.createDataChannel(label, reliable ? {} : { ordered: false, maxRetransmits: 0 });
      channel.onMessage.subscribe((data) => messages.push({ channel: label, data: Buffer.from(data).toString('base64') }));
      channels.set(label, channel);
    }
    for (const kind of publish) {
      const track = new MediaStreamTrack({ kind });
      pc.addTransceiver(track, { direction: 'sendonly' });
      const [file, type] = kind === 'audio' ? [audio, 96] : [video, 97];
      await rtpOf(file, type, kind === 'audio' ? 1111 : 2222, (packet) => track.writeRtp(packet));
    }
    for (const kind of subscribe) pc.addTransceiver(kind, { direction: 'recvonly' });
    await pc.setLocalDescription(await pc.createOffer());
    if (pc.iceGatheringState !== 'complete') await pc.iceGatheringStateChange.watch((state) => state === 'complete', 10_000);
    return { sdp: pc.localDescription.sdp };
  },
  async answer({ sdp }) {
    await pc.setRemoteDescription({ type: 'answer', sdp });
  },
  async send({ channel, data }) {
    channels.get(channel).send(Buffer.from(data, 'base64'));
  },
  async stats() {
    const open = [...channels].filter(([, c]) => c.readyState === 'open').map(([label]) => label);
    return { state: pc.connectionState, tracks: counters.map((c) => c.report()), messages, open };
  },
  async close() {
    await pc.close();
  },
});
