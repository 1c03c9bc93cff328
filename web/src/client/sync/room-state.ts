// What a room is, folded from its log: kind, mode, names, settings, members, pins. Pure.
// Entries are applied in rising seq: members and mode follow the server's order, since a clock must not
// grant rights; names and settings are registers, whose highest stamp wins.
import { byStamp, lean, stampOf } from './order';
import type { Create, Entry, Part, RoomState, Scalar, Settings } from './model';

/** Settings by name, with what holds where nothing was said. */
const DEFAULTS: Settings = {
  join: 'invite',
  post: 'members',
  invite: 'moderators',
  pin: 'moderators',
  mention_room: 'moderators',
  preview: false,
  since_join: false,
  receipts: true,
  ttl: null,
  retention: null,
  call_encryption: 'none',
  lobby: 'off',
  phi: false,
  peek: false,
};
const IN_IT: ReadonlySet<string> = new Set(['owner', 'moderator', 'member']);
/** What of a room is a register too, and no setting. */
const NAMES: ReadonlySet<string> = new Set(['name', 'topic', 'avatar', 'custom']);

/** `state` after `entries`, of which those that it already holds are passed over. */
export function advanced(state: RoomState | null, entries: readonly Entry[]): RoomState {
  const next = copyOf(state);
  const start = next.seq ?? 0;
  for (const entry of entries) if (entry.seq > start) apply(next, entry);
  return shown(next);
}

/** Its records have no prototype: an account may have any name. */
function copyOf(state: RoomState | null): RoomState {
  const { members, pins, stamps } = state ?? {};
  return { ...state, members: bare(members), pins: bare(pins), stamps: bare(stamps) };
}

function bare<T>(record: Record<string, T> = {}): Record<string, T> {
  return Object.assign(Object.create(null), record) as Record<string, T>;
}

/** As the server would write it. Settings that were touched are there even when all are the defaults. */
function shown(state: RoomState): RoomState {
  const { settings, ...rest } = state;
  const all = {
    ...rest,
    seq: state.seq || undefined,
    clock: state.clock || undefined,
    kind: state.kind === 'group' ? undefined : state.kind,
    mode: state.mode === 'searchable' ? undefined : state.mode,
    mode_seq: state.mode_seq || undefined,
    changed: state.changed || undefined,
  };
  return settings === undefined ? lean(all) : { ...lean(all), settings: differing(settings) };
}

function differing(settings: Settings): Settings {
  return Object.fromEntries(
    Object.entries(settings).filter(([name, value]) => DEFAULTS[name] !== value),
  );
}

function apply(state: RoomState, entry: Entry): void {
  state.seq = Math.max(state.seq ?? 0, entry.seq);
  state.clock = Math.max(state.clock ?? 0, entry.clock);
  const { op } = entry;
  if (op.type === 'pin') {
    setPin(state, entry, op.id, op.on ?? true);
    return;
  }
  if (op.type === 'member') setMember(state, op.account, op.part, entry);
  else if (op.type === 'set') setFields(state, op, entry);
  else if (op.type === 'mode') setMode(state, entry.seq);
  else if (op.type === 'create') create(state, op, entry);
  else return;
  state.changed = Math.max(state.changed ?? 0, entry.seq);
}

function setMode(state: RoomState, seq: number): void {
  state.mode = 'e2ee';
  state.mode_seq = Math.min(state.mode_seq || seq, seq);
}

function setPin(state: RoomState, entry: Entry, id: string, on: boolean): void {
  const stamp = stampOf(entry);
  const before = state.pins?.[id];
  if (before !== undefined && byStamp(before.stamp, stamp) >= 0) return;
  (state.pins ??= {})[id] = { stamp, on };
}

function create(state: RoomState, op: Create, entry: Entry): void {
  state.kind = op.kind;
  if (entry.account === null) delete state.creator;
  else state.creator = entry.account;
  state.created_at = entry.at;
  if (!state.mode_seq) state.mode = op.mode;
  const names = { name: op.name ?? '', topic: op.topic ?? '', custom: op.custom ?? {} };
  setFields(state, { ...DEFAULTS, ...op.settings, ...names }, entry);
  if (entry.account !== null) {
    setMember(state, entry.account, op.kind === 'direct' ? 'member' : 'owner', entry);
  }
}

function setMember(state: RoomState, account: string, part: Part, entry: Entry): void {
  const before = state.members?.[account];
  if (before !== undefined && before.seq >= entry.seq) return;
  const stays = before !== undefined && IN_IT.has(before.part);
  const since = stays ? before.since : entry.seq;
  (state.members ??= {})[account] = { part, seq: entry.seq, since, at: entry.at };
}

/** What is no register of a room, as the type of a `set`, is passed over. */
function setFields(
  state: RoomState,
  fields: Readonly<Record<string, unknown>>,
  entry: Entry,
): void {
  const stamp = stampOf(entry);
  const stamps = (state.stamps ??= {});
  for (const [field, value] of Object.entries(fields)) {
    const isSetting = Object.hasOwn(DEFAULTS, field);
    const before = stamps[field];
    if (!isSetting && !NAMES.has(field)) continue;
    if (before !== undefined && byStamp(before, stamp) >= 0) continue;
    stamps[field] = stamp;
    if (isSetting) state.settings = { ...state.settings, [field]: value as Scalar };
    else if (value === null) delete state[field as 'avatar'];
    else Object.assign(state, { [field]: value });
  }
}
