// What a browser really receives. recordConnections runs in the page before its own scripts; the
// figures come from the browser's statistics, never from our client.
import type { Tab } from './browsers';

declare global {
  interface Window {
    connections?: RTCPeerConnection[];
  }
}

export interface Received {
  frames: number;
  energy: number;
  audioPackets: number;
  width: number;
  videos: number;
}

export type Flow = Omit<Received, 'videos'>;

/** Keeps every RTCPeerConnection that the page makes. */
export function recordConnections(): void {
  const Original = window.RTCPeerConnection;
  if (Original === undefined) return;
  const connections: RTCPeerConnection[] = [];
  window.connections = connections;
  window.RTCPeerConnection = class extends Original {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      connections.push(this);
    }
  };
}

/** Per kind: frames decoded, audio energy, packets, largest width, of all tracks received so far. */
export function received(tab: Tab): Promise<Received> {
  return tab.evaluate(async () => {
    const sum = { frames: 0, energy: 0, audioPackets: 0, width: 0, videos: 0 };
    for (const connection of window.connections ?? []) {
      if (connection.connectionState === 'closed') continue;
      const reports = (await connection.getStats()) as unknown as Map<
        string,
        Record<string, unknown>
      >;
      for (const report of reports.values()) {
        if (report['type'] !== 'inbound-rtp') continue;
        if (report['kind'] === 'video') {
          sum.frames += Number(report['framesDecoded'] ?? 0);
          sum.width = Math.max(sum.width, Number(report['frameWidth'] ?? 0));
          sum.videos += 1;
        } else {
          sum.energy += Number(report['totalAudioEnergy'] ?? 0);
          sum.audioPackets += Number(report['packetsReceived'] ?? 0);
        }
      }
    }
    return sum;
  });
}

/** Waits until both frames and audible sound have arrived; returns how long that took. */
export async function seesAndHears(tab: Tab, ms = 5_000): Promise<number> {
  const start = Date.now();
  let last: Received | null = null;
  while (Date.now() - start < ms) {
    last = await received(tab);
    if (last.frames > 0 && last.energy > 0) return Date.now() - start;
    await pause(100);
  }
  throw new Error(`not seen and heard within ${ms} ms: ${JSON.stringify(last)}`);
}

/** How much of each figure arrives in a while. */
export async function growth(tab: Tab, ms = 1_500): Promise<Flow> {
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
export async function settles(
  tab: Tab,
  what: string,
  condition: (flow: Flow) => boolean,
  ms = 20_000,
): Promise<Flow> {
  const end = Date.now() + ms;
  let last: Flow | null = null;
  while (Date.now() < end) {
    last = await growth(tab, 1_200);
    if (condition(last)) return last;
  }
  throw new Error(`${what} did not come true: ${JSON.stringify(last)}`);
}

export function pause(ms: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(done, ms);
  });
}
