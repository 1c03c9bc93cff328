// The five bugs of tests/sync/planted.py in the TypeScript client: each a patch of its real code, of which one
// at a time is planted by its name, for the state machine to find. Never part of a page.
import type { AnyOp, Write } from '../src/client/sync';
import type { File } from '../src/client/sync/copy';
import type { Incoming } from '../src/client/sync/frames';
import { Replica } from '../src/client/sync/replica';

/** What of a replica is private, and there for who patches it. */
interface Inside extends Pick<Replica, 'copy' | 'phase' | 'file' | 'resets'> {
  sent: number;
  write: (write: Write) => void;
  keep: (change: Partial<File>) => void;
}

type Method = (this: Inside, ...words: unknown[]) => unknown;
const methods = Replica.prototype as unknown as Record<string, Method>;

/** The bug's version of some methods, each made of the right one. */
type Patch = Readonly<Record<string, (right: Method) => Method>>;

const deaf = (hearing: Method): Method =>
  function heard(frame) {
    const { clock } = this.file;
    const isNews = hearing.call(this, frame);
    this.keep({ clock });
    return isNews;
  };

const BUGS: Readonly<Record<string, Patch>> = {
  /** Pending changes that the server has already survive a reset. */
  bootstrap_keeps_what_was_integrated: {
    bootstrap: (right) =>
      function bootstrap(frame) {
        const write = this.write.bind(this);
        this.write = (one) => {
          if (one.write !== 'unpend_upto') write(one);
        };
        try {
          return right.call(this, frame);
        } finally {
          Reflect.deleteProperty(this, 'write');
        }
      },
  },
  /** Cursor and entries in two transactions: what the machine's storage does when it sees the name. */
  cursor_is_saved_apart: {},
  /** On a restored server the file goes on under its old name. */
  ident_is_used_again: {
    rename: () =>
      function rename() {
        this.resets += 1;
        this.keep({ cursor: 0, chain: '', acked: 0 });
        this.sent = 0;
      },
  },
  /** What a device hears does not move its own clock: its next change loses to the past. */
  clock_is_not_taken_along: {
    bootstrap: deaf,
    follow: deaf,
  },
  /** Too early: what one wrote is gone when its place comes. It is taken as it is: a client that begins
   *  anew whenever it misses something heals itself of this. */
  pending_leaves_at_the_acknowledgement: {
    download: (right) =>
      function download(frame) {
        const frames = right.call(this, frame);
        if (this.phase === 'synced') {
          this.write({ write: 'unpend_upto', version: this.file.acked });
        }
        return frames;
      },
    whole: (right) =>
      function whole(place) {
        const change = place as Incoming;
        const isMissing = change.op === undefined && !this.copy.pending.has(change.version);
        const lost: AnyOp = { type: 'void', code: 'lost' };
        return isMissing ? { ...change, op: lost } : right.call(this, change);
      },
  },
};

let name: string | null = null;
let replaced: Record<string, Method> = {};

/** Which bug is there now. With a name, or null for none: that one from here on, and no other. */
export function planted(wanted?: string | null): string | null {
  if (wanted === undefined) return name;
  Object.assign(methods, replaced);
  replaced = {};
  const patch = wanted === null ? {} : BUGS[wanted];
  if (patch === undefined) throw new Error(`no such bug: ${wanted}`);
  for (const [method, bug] of Object.entries(patch)) {
    const right = methods[method];
    if (right === undefined) throw new Error(`no such method: ${method}`);
    replaced[method] = right;
    methods[method] = bug(right);
  }
  name = wanted;
  return name;
}
