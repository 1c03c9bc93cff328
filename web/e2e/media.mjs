// What a browser really receives. recordConnections runs in the page before its own scripts; the
// figures come from the browser's statistics, never from our client.

/** Keeps every RTCPeerConnection, and counts what tries to talk to other hosts. */
export function recordConnections() {
  const Original = window.RTCPeerConnection;
  if (Original === undefined) return;
  window.connections = [];
  window.RTCPeerConnection = class extends Original {
    constructor(...rest) {
      super(...rest);
      window.connections.push(this);
    }
  };
}

/** Per kind: frames decoded, audio energy, packets, largest width, of all tracks received so far. */
export function received(tab) {
  return tab.evaluate(async () => {
    const sum = { frames: 0, energy: 0, audioPackets: 0, width: 0, videos: 0 };
    for (const connection of window.connections ?? []) {
      if (connection.connectionState === 'closed') continue;
      for (const report of (await connection.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        if (report.kind === 'video') {
          sum.frames += report.framesDecoded ?? 0;
          sum.width = Math.max(sum.width, report.frameWidth ?? 0);
          sum.videos += 1;
        } else {
          sum.energy += report.totalAudioEnergy ?? 0;
          sum.audioPackets += report.packetsReceived ?? 0;
        }
      }
    }
    return sum;
  });
}

/** Waits until both frames and audible sound have arrived; returns how long that took. */
export async function seesAndHears(tab, ms = 5_000) {
  const start = Date.now();
  let last = null;
  while (Date.now() - start < ms) {
    last = await received(tab);
    if (last.frames > 0 && last.energy > 0) return Date.now() - start;
    await pause(100);
  }
  throw new Error(`not seen and heard within ${ms} ms: ${JSON.stringify(last)}`);
}

/** How much of each figure arrives in a while. */
export async function growth(tab, ms = 1_500) {
  const before = await received(tab);
  await pause(ms);
  const after = await received(tab);
  return {
    frames: after.frames - before.frames,
    energy: after.energy - before.energy,
    audioPackets: after.audioPackets - before.audioPackets,
    width: after.width,
  };
}

/** Waits until the growth over a while satisfies a condition. */
export async function settles(tab, what, condition, ms = 10_000) {
  const end = Date.now() + ms;
  let last = null;
  while (Date.now() < end) {
    last = await growth(tab, 1_200);
    if (condition(last)) return last;
  }
  throw new Error(`${what} did not come true: ${JSON.stringify(last)}`);
}

export function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
