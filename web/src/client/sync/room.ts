// One room as a device sees it: the fold of what its log has, with what is pending replayed on top. Pure.
import type { Copy } from './copy';
import { inOrder } from './copy';
import { Messages, isEntry } from './messages';
import type { AnyOp, Entry, Place } from './model';
import { advanced } from './room-state';
import type { RoomView } from './views';

/** Pending entries stand behind everything that a log can have, by numbers that are still exact. */
const BEHIND = 2 ** 52;

/** What the log has, then what is pending. What this version does not know is left out. */
function entriesOf(copy: Copy, account: string): Entry[] {
  const handed = [...copy.handed.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const { next, clock } = copy.file;
  const waiting = [
    ...inOrder(copy.pending),
    ...handed.map(({ op }, place) => ({ version: next + place, clock: clock + 1 + place, op })),
  ];
  const shown = waiting.map(({ version, clock: at, op }): Place => {
    const { ident } = copy.file;
    const whose = { ident, account, part: 'member' };
    return Object.assign(whose, {
      seq: BEHIND + version,
      version,
      clock: at,
      at: new Date(at).toISOString(),
      op,
    });
  });
  return [...inOrder(copy.entries), ...shown].filter(isEntry);
}

export function viewOf(copy: Copy, account: string): RoomView {
  const entries = entriesOf(copy, account);
  return { state: advanced(copy.file.state, entries), messages: new Messages(entries).all() };
}

const plain = (text: string) => ({ format: 'm.plain.v1', text }) as const;

/** The changes that people make most, as ops. */
export const ops = {
  post: (id: string, text: string): AnyOp => ({ type: 'post', id, body: plain(text) }),
  edit: (id: string, text: string): AnyOp => ({ type: 'edit', id, body: plain(text) }),
  delete: (id: string): AnyOp => ({ type: 'delete', id }),
  react: (id: string, emoji: string, on = true): AnyOp => ({ type: 'react', id, emoji, on }),
};

/** UUIDv7 (RFC 9562 section 5.7). `noise` are 10 random bytes; a message's id is its author's to make. */
export function messageId(now: number, noise: Uint8Array): string {
  const time = Math.floor(now).toString(16).padStart(12, '0');
  const digits = [...noise].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const variant = '89ab'[(noise[2] ?? 0) & 3] ?? '8';
  const rest = `${digits.slice(1, 4)}-${variant}${digits.slice(5, 8)}-${digits.slice(8)}`;
  return `${time.slice(0, 8)}-${time.slice(8)}-7${rest}`;
}
