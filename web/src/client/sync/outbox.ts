// Changes into frames that servers take, and the frames that wait to leave. Pure.
import type { Pending } from './copy';
import type { ClientFrame } from './frames';

/** Below the server's bound of a frame, with room for its envelope. */
const MOST_BYTES = 40_000;
const MOST_CHANGES = 500;
const ENVELOPE_BYTES = 60;
/** Changes under way: the server holds at most 4,000 of a session that wait for its store (error 104). */
const MOST_AHEAD = 2000;

const encoder = new TextEncoder();

type Upload = Extract<ClientFrame, { type: 'upload' }>;

/** Of what is pending: what was not sent yet, as far as may be under way at once. */
export function sendable(pending: readonly Pending[], sent: number, acked: number): Pending[] {
  return pending.filter(({ version }) => version > sent && version <= acked + MOST_AHEAD);
}

/** Rising versions; a change that is larger than a frame's share has one of its own. */
export function uploadsOf(session: number, changes: readonly Pending[]): ClientFrame[] {
  const frames: Pending[][] = [];
  let size = MOST_BYTES;
  for (const change of changes) {
    const bytes = bytesOf(change);
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

function bytesOf({ op }: Upload['changes'][number]): number {
  return encoder.encode(JSON.stringify(op)).length + ENVELOPE_BYTES;
}

/** In their order. Uploads that wait together leave together: who writes faster than frames may leave needs
 * no more of them. */
export class Outbox {
  private readonly waiting: { readonly frame: ClientFrame; readonly bytes: number }[] = [];

  get length(): number {
    return this.waiting.length;
  }

  put(frame: ClientFrame): void {
    const bytes =
      frame.type === 'upload' ? frame.changes.reduce((sum, change) => sum + bytesOf(change), 0) : 0;
    const last = this.waiting.at(-1);
    const joined = last === undefined ? null : join(last.frame, frame, last.bytes + bytes);
    if (last === undefined || joined === null) this.waiting.push({ frame, bytes });
    else this.waiting.splice(-1, 1, { frame: joined, bytes: last.bytes + bytes });
  }

  take(): ClientFrame | undefined {
    return this.waiting.shift()?.frame;
  }

  clear(): void {
    this.waiting.length = 0;
  }
}

/** Null when they are no two uploads of one session, or too much for one frame. */
function join(last: ClientFrame, next: ClientFrame, bytes: number): Upload | null {
  if (last.type !== 'upload' || next.type !== 'upload' || last.session !== next.session)
    return null;
  if (bytes > MOST_BYTES || last.changes.length + next.changes.length > MOST_CHANGES) return null;
  return { ...last, changes: [...last.changes, ...next.changes] };
}
