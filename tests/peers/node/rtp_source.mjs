// RTP packets of a file, by ffmpeg over loopback UDP: for stacks that bring no encoder.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';

export async function rtpOf(file, payloadType, ssrc, onPacket) {
  const socket = createSocket('udp4');
  await new Promise((done) => socket.bind(0, '127.0.0.1', done));
  socket.on('message', onPacket);
  const target = `rtp://127.0.0.1:${socket.address().port}?pkt_size=1200`;
  const rtp = ['-c', 'copy', '-payload_type', String(payloadType), '-ssrc', String(ssrc), '-f', 'rtp', target];
  const player = spawn('/usr/bin/ffmpeg', ['-v', 'error', '-re', '-stream_loop', '-1', '-i', file, ...rtp], { stdio: 'ignore' });
  process.on('exit', () => player.kill('SIGKILL'));
  return () => {
    player.kill('SIGKILL');
    socket.close();
  };
}

// Counts a received stream: packets with payload, frames by marker (RFC 3550 section 5.1), losses.
export class Counter {
  constructor(sid, kind) {
    Object.assign(this, { sid, kind, packets: 0, frames: 0, lost: 0, next: undefined });
  }
  packet(bytes) {
    const sequence = bytes.readUInt16BE(2);
    const ahead = this.next === undefined ? 0 : (sequence - this.next) & 0xffff;
    if (ahead < 0x8000) {
      this.lost += ahead;
      this.next = (sequence + 1) & 0xffff;
    }
    this.packets += 1;
    if (this.kind === 'audio' || bytes[1] & 0x80) this.frames += 1;
  }
  report() {
    const { sid, kind, packets, frames, lost } = this;
    return { sid, kind, packets, frames, lost };
  }
}
