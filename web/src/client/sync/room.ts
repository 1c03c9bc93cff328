// One room as a device sees it: the fold of what its log has, with what is pending replayed on top. Pure.
import type { Copy } from './copy';
import { placesOf } from './folding';
import { Messages, isEntry } from './messages';
import type { AnyOp, RoomState } from './model';
import { advanced } from './room-state';
import type { RoomView } from './views';

/** What this version does not know is left out. */
export function viewOf(copy: Copy, account: string): RoomView {
  const entries = placesOf(copy, { account, part: 'member' }).filter(isEntry);
  const state = copy.file.state as RoomState | null;
  return { state: advanced(state, entries), messages: new Messages(entries).all() };
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
