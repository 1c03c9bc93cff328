// What an account's own log comes to: drafts, saved and hidden messages, blocks, preferences. Pure.
// Each is a register of its own, whose highest stamp wins; hiding is sticky, clearing a room a maximum.
// The server's is signaling/chat/account_state.py; what has its default is not there.
import type { AnyOp, Place, Scalar, Stamp } from './model';
import { byStamp, byText, stampOf } from './order';

interface Draft {
  readonly stamp: Stamp;
  readonly draft: AnyOp;
}

interface Save {
  readonly stamp: Stamp;
  readonly save: AnyOp;
}

interface Block {
  readonly stamp: Stamp;
  readonly on: boolean;
}

interface Notify {
  readonly stamp: Stamp;
  readonly level: string;
}

type Preferences = Readonly<Record<string, Scalar | Readonly<Record<string, Scalar>>>>;

export interface AccountState {
  seq?: number;
  clock?: number;
  /** By room, a slash and the thread. */
  drafts?: Record<string, Draft>;
  /** By room, a slash and the message. */
  saved?: Record<string, Save>;
  hidden?: Record<string, readonly string[]>;
  hidden_upto?: Record<string, number>;
  blocked?: Record<string, Block>;
  notify?: Record<string, Notify>;
  preferences?: Preferences;
  stamps?: Record<string, Stamp>;
}

const DEFAULTS: Preferences = {
  read_receipts: true,
  delivered_receipts: true,
  typing: true,
  presence: 'contacts',
  last_seen: 'contacts',
  status: 'contacts',
  direct_from: 'everyone',
  added_by: 'everyone',
  calls_from: 'everyone',
  custom: {},
};
/** Of each sort; of those that were given up the oldest make place. */
const MOST = { drafts: 1000, saved: 5000, blocked: 2000 };

/** `state` after `places`, of which those that it already holds are passed over. */
export function advancedAccount(
  state: AccountState | null,
  places: readonly Place[],
): AccountState {
  const next = copyOf(state ?? {});
  const start = next.seq ?? 0;
  for (const place of places) if (place.seq > start) apply(next, place);
  return withoutEmpty(next);
}

const RECORDS = [
  'drafts',
  'saved',
  'hidden',
  'hidden_upto',
  'blocked',
  'notify',
  'stamps',
] as const;

/** Records without a prototype: an account may have any name. */
function copyOf(state: AccountState): AccountState {
  const next = { ...state };
  for (const name of RECORDS) {
    Object.assign(next, { [name]: Object.assign(Object.create(null), state[name]) });
  }
  return next;
}

function withoutEmpty(state: AccountState): AccountState {
  for (const name of RECORDS) {
    if (Object.keys(state[name] ?? {}).length === 0) delete state[name];
  }
  if (!state.seq) delete state.seq;
  if (!state.clock) delete state.clock;
  return state;
}

const word = (op: AnyOp, field: string): string => String(op[field] ?? '');

type Change = (state: AccountState, op: AnyOp, stamp: Stamp) => void;

const CHANGES: Readonly<Record<string, Change>> = {
  draft: ({ drafts = {} }, op, stamp) => {
    const key = `${word(op, 'room')}/${word(op, 'parent')}`;
    if (!isNewer(drafts[key], stamp)) return;
    drafts[key] = { stamp, draft: spare(op) };
    bound(drafts, MOST.drafts, ({ draft }) => draft['body'] === undefined);
  },
  save: ({ saved = {} }, op, stamp) => {
    const key = `${word(op, 'room')}/${word(op, 'id')}`;
    if (!isNewer(saved[key], stamp)) return;
    saved[key] = { stamp, save: spare(op) };
    bound(saved, MOST.saved, ({ save }) => save['on'] === false);
  },
  hide: ({ hidden = {} }, op) => {
    const ids = new Set(hidden[word(op, 'room')]).add(word(op, 'id'));
    hidden[word(op, 'room')] = [...ids].toSorted(byText);
  },
  hide_upto: ({ hidden_upto: upto = {} }, op) => {
    const room = word(op, 'room');
    upto[room] = Math.max(upto[room] ?? 0, Number(op['seq']));
  },
  block: ({ blocked = {} }, op, stamp) => {
    const account = word(op, 'account');
    if (!isNewer(blocked[account], stamp)) return;
    blocked[account] = { stamp, on: op['on'] !== false };
    bound(blocked, MOST.blocked, ({ on }) => !on);
  },
  notify: ({ notify = {} }, op, stamp) => {
    const room = word(op, 'room');
    if (isNewer(notify[room], stamp)) notify[room] = { stamp, level: word(op, 'level') };
  },
  prefer: (state, op, stamp) => {
    const stamps = (state.stamps ??= {});
    for (const field of Object.keys(DEFAULTS)) {
      const before = stamps[field];
      if (op[field] === undefined || (before && byStamp(before, stamp) >= 0)) continue;
      stamps[field] = stamp;
      state.preferences = { ...DEFAULTS, ...state.preferences, [field]: op[field] as Scalar };
    }
  },
};

function apply(state: AccountState, place: Place): void {
  const { op } = place;
  if (!Object.hasOwn(CHANGES, op.type) && op.type !== 'void' && op.type !== 'erased') return;
  state.seq = Math.max(state.seq ?? 0, place.seq);
  state.clock = Math.max(state.clock ?? 0, place.clock);
  CHANGES[op.type]?.(state, op, stampOf(place));
}

function isNewer(before: { readonly stamp: Stamp } | undefined, stamp: Stamp): boolean {
  return before === undefined || byStamp(before.stamp, stamp) < 0;
}

/** Without what has its default. */
function spare(op: AnyOp): AnyOp {
  const kept = Object.entries(op).filter(
    ([field, value]) => value !== null && value !== '' && !(field === 'on' && value === true),
  );
  return Object.fromEntries(kept) as AnyOp;
}

/** What was given up stays, so that an older change cannot bring it back; of too many the oldest go. */
function bound<T extends { readonly stamp: Stamp }>(
  held: Record<string, T>,
  most: number,
  isEmpty: (one: T) => boolean,
): void {
  const all = Object.entries(held);
  if (all.length <= most) return;
  const givenUp = all.filter(([, one]) => isEmpty(one));
  const oldest = givenUp.toSorted(([, a], [, b]) => byStamp(a.stamp, b.stamp));
  for (const [key] of oldest.slice(0, all.length - most)) delete held[key];
}
