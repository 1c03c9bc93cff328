// libdatachannel (libjuice, usrsctp, libsrtp; node-datachannel) as an SDP peer.
import rtc from 'node-datachannel';
import { serve } from './lines.mjs';
import { Counter, rtpOf } from './rtp_source.mjs';

const pc = new rtc.PeerConnection('peer', { iceServers: [] });
const channels = new Map();
const messages = [];
const counters = [];
const tracks = [];
let state = 'new';
pc.onStateChange((now) => (state = now));

function description(kind, direction) {
  if (kind === 'audio') {
    const audio = new rtc.Audio('audio', direction);
    audio.addOpusCodec(96);
    return audio;
  }
  const video = new rtc.Video('video', direction);
  video.addVP8Codec(97);
  return video;
}

serve({
  async offer({ publish, subscribe, channels: labels, audio, video }) {
    const gathered = new Promise((done) => pc.onGatheringStateChange((now) => now === 'complete' && done()));
    for (const kind of publish) {
      const ssrc = kind === 'audio' ? 1111 : 2222;
      const media = description(kind, 'SendOnly');
      media.addSSRC(ssrc, 'peer', 'stream', `${kind}-track`);
      const track = pc.addTrack(media);
      tracks.push(track);
      const send = (packet) => track.isOpen() && track.sendMessageBinary(packet);
      await rtpOf(kind === 'audio' ? audio : video, kind === 'audio' ? 96 : 97, ssrc, send);
    }
    for (const kind of subscribe) {
      const track = pc.addTrack(description(kind, 'RecvOnly'));
      const counter = new Counter(kind, kind);
      counters.push(counter);
      tracks.push(track);
      track.onMessage((packet) => {
        // RTCP comes this way too; its payload types are 64 to 95 behind the marker bit (RFC 5761 section 4).
        const type = packet[1] & 0x7f;
        if (type < 64 || type > 95) counter.packet(packet);
      });
    }
    for (const label of labels) {
      const options = label === '_reliable' ? {} : { unordered: true, maxRetransmits: 0 };
      const channel = pc.createDataChannel(label, options);
      channel.onMessage((data) => messages.push({ channel: label, data: Buffer.from(data).toString('base64') }));
      channels.set(label, channel);
    }
    pc.setLocalDescription();
    await gathered;
    return { sdp: pc.localDescription().sdp };
  },
  async answer({ sdp }) {
    pc.setRemoteDescription(sdp, 'answer');
  },
  async send({ channel, data }) {
    if (!channels.get(channel).sendMessageBinary(Buffer.from(data, 'base64'))) throw new Error('not sent');
  },
  async stats() {
    const open = [...channels].filter(([, c]) => c.isOpen()).map(([label]) => label);
    return { state, tracks: counters.map((c) => c.report()), messages, open };
  },
  async close() {
    pc.close();
    rtc.cleanup();
  },
});
