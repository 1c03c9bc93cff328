// What one device keeps of one partition, and the writes that change it. A step of the replica makes a
// list of them; a storage keeps the list as one transaction. Pure: every storage, and every other tab,
// comes to the same copy by `written`.
import type { AccountState } from './account-state';
import type { AnyOp, Place, RoomState } from './model';

/** What a bootstrap brings, and what sinks below the floor goes into. */
export type KeptState = RoomState | AccountState;

/** Who this copy is to the server, and how far it has come. Kept with every step. */
export interface File {
  readonly path: string;
  readonly ident: string;
  readonly salt: string;
  readonly cursor: number;
  readonly chain: string;
  readonly floor: number;
  /** The newest version that the server acknowledged. */
  readonly acked: number;
  /** The version of the next local change. */
  readonly next: number;
  readonly clock: number;
  /** What is left of entries that are gone. */
  readonly state: KeptState | null;
  /** Grows by one with every step: two writers of one copy find each other out. */
  readonly revision: number;
}

/** A change of this device that has not come back from the log. */
export interface Pending {
  readonly version: number;
  readonly clock: number;
  readonly op: AnyOp;
}

/** A change that a tab without the socket made; the one that has it makes a pending one of it. */
export interface Handed {
  readonly id: string;
  readonly op: AnyOp;
}

export interface Copy {
  file: File;
  readonly entries: Map<number, Place>;
  /** Of a bootstrap under way: seen by nobody. */
  readonly staged: Map<number, Place>;
  readonly pending: Map<number, Pending>;
  readonly handed: Map<string, Handed>;
}

export type Write =
  | { readonly write: 'file'; readonly file: File }
  | { readonly write: 'entry'; readonly entry: Place }
  | { readonly write: 'forget'; readonly upto: number }
  | { readonly write: 'stage'; readonly entry: Place }
  | { readonly write: 'unstage' }
  | { readonly write: 'take_staged' }
  | { readonly write: 'pend'; readonly change: Pending }
  | { readonly write: 'unpend'; readonly version: number }
  | { readonly write: 'unpend_upto'; readonly version: number }
  | { readonly write: 'hand'; readonly change: Handed }
  | { readonly write: 'unhand'; readonly id: string };

export function newFile(path: string): File {
  const nothing = { ident: '', salt: '', cursor: 0, chain: '', floor: 0, acked: 0 };
  return { path, ...nothing, next: 1, clock: 0, state: null, revision: 0 };
}

export function newCopy(path: string): Copy {
  return {
    file: newFile(path),
    entries: new Map(),
    staged: new Map(),
    pending: new Map(),
    handed: new Map(),
  };
}

/** Another one of the same contents. What it holds is never changed, only replaced. */
export function copied(copy: Copy): Copy {
  return {
    file: copy.file,
    entries: new Map(copy.entries),
    staged: new Map(copy.staged),
    pending: new Map(copy.pending),
    handed: new Map(copy.handed),
  };
}

export function written(copy: Copy, write: Write): void {
  switch (write.write) {
    case 'file':
      copy.file = write.file;
      return;
    case 'entry':
      copy.entries.set(write.entry.seq, write.entry);
      return;
    case 'forget':
      dropUpto(copy.entries, write.upto);
      return;
    case 'stage':
      copy.staged.set(write.entry.seq, write.entry);
      return;
    case 'unstage':
      copy.staged.clear();
      return;
    default:
      changed(copy, write);
  }
}

type Rarer = Extract<
  Write,
  { write: 'take_staged' | 'pend' | 'unpend' | 'unpend_upto' | 'hand' | 'unhand' }
>;

function changed(copy: Copy, write: Rarer): void {
  switch (write.write) {
    case 'take_staged':
      copy.entries.clear();
      for (const [seq, entry] of copy.staged) copy.entries.set(seq, entry);
      copy.staged.clear();
      return;
    case 'pend':
      copy.pending.set(write.change.version, write.change);
      return;
    case 'unpend':
      copy.pending.delete(write.version);
      return;
    case 'unpend_upto':
      dropUpto(copy.pending, write.version);
      return;
    case 'hand':
      copy.handed.set(write.change.id, write.change);
      return;
    case 'unhand':
      copy.handed.delete(write.id);
  }
}

function dropUpto(map: Map<number, unknown>, upto: number): void {
  for (const key of map.keys()) if (key <= upto) map.delete(key);
}

export function inOrder<T>(map: ReadonlyMap<number, T>): T[] {
  return [...map].toSorted(([a], [b]) => a - b).map(([, value]) => value);
}
