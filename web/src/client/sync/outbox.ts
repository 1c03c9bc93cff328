// Changes that wait for the server, in frames that it takes. Pure.
import type { Pending } from './copy';
import type { ClientFrame } from './frames';
import type { AnyOp } from './model';

/** Below the server's bound of a frame, with room for its envelope. */
const MOST_BYTES = 40_000;
const MOST_CHANGES = 500;
const ENVELOPE_BYTES = 60;

const encoder = new TextEncoder();

/** Rising versions; a change that is larger than a frame's share has one of its own. */
export function uploadsOf(session: number, changes: readonly Pending[]): ClientFrame[] {
  const frames: Pending[][] = [];
  let size = MOST_BYTES;
  for (const change of changes) {
    const bytes = bytesOf(change.op) + ENVELOPE_BYTES;
    size += bytes;
    const last = frames.at(-1);
    if (last === undefined || size > MOST_BYTES || last.length >= MOST_CHANGES) {
      frames.push([change]);
      size = bytes;
    } else {
      last.push(change);
    }
  }
  return frames.map((some) => ({ type: 'upload', session, changes: some }));
}

function bytesOf(op: AnyOp): number {
  return encoder.encode(JSON.stringify(op)).length;
}
