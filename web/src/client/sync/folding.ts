// From a copy of a log to what it comes to, by what the log is of: a room, or an account's own. Pure.
import { advancedAccount } from './account-state';
import type { AccountState } from './account-state';
import { inOrder } from './copy';
import type { Copy, KeptState } from './copy';
import { isEntry } from './messages';
import type { Place } from './model';
import { advanced } from './room-state';

export const OWN = 'account';

/** Pending entries stand behind everything that a log can have, by numbers that are still exact. */
const BEHIND = 2 ** 52;

/** The state of a partition after places that are not kept any longer. */
export function sunk(path: string, state: KeptState | null, leaving: readonly Place[]): KeptState {
  if (path === OWN) return advancedAccount(state as AccountState | null, leaving);
  return advanced(state, leaving.filter(isEntry));
}

/** What the log has, then what is pending, as the server would say it of `author`. */
export function placesOf(copy: Copy, author: { account?: string; part?: string } = {}): Place[] {
  const handed = [...copy.handed.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const { next, clock, ident } = copy.file;
  const waiting = [
    ...inOrder(copy.pending),
    ...handed.map(({ op }, place) => ({ version: next + place, clock: clock + 1 + place, op })),
  ];
  const shown = waiting.map((change): Place => {
    const at = new Date(change.clock).toISOString();
    return Object.assign({ ident, at, seq: BEHIND + change.version }, change, author);
  });
  return [...inOrder(copy.entries), ...shown];
}

/** An account's own data as this device has them. */
export function ownOf(copy: Copy): AccountState {
  return advancedAccount(copy.file.state as AccountState | null, placesOf(copy));
}
