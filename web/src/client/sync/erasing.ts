// What a copy says no longer once its log took it back, in entries, state, and what waits to leave.
//
//   deleted      of the message its place stays; what it said, its edits, reactions and votes go
//   erased       its places are empty, as the server tells of them to who had nothing before
//   overwritten  of a draft, or a note on a saved message, the newest says something and no other
//
// What is shown comes to the same before and after, since the reducers pass over all of this anyway. The
// Python client's `erasing.py` is the same, and both are held to tests/golden/sync. Pure.
import type { AccountState } from './account-state';
import type { Copy, File, Pending, Write } from './copy';
import { inOrder } from './copy';
import type { AnyOp, Place, Stamp } from './model';
import { byStamp, stampOf } from './order';

const BLANK = { format: 'm.plain.v1' } as const;
const EPOCH = '1970-01-01T00:00:00Z';
const ROOM = 'room';
const OF_MESSAGES: ReadonlySet<string> = new Set([
  'post',
  'edit',
  'delete',
  'react',
  'pin',
  'vote',
  'close',
  'call',
]);
const SAYS: ReadonlySet<string> = new Set(['post', 'edit', 'react', 'vote']);
/** What a room is made of; the server erases none of it. */
const STAYS: ReadonlySet<string> = new Set(['erased', 'create', 'member', 'set', 'mode']);
/** Of a post, what shows where it stood. */
const PLACE: ReadonlySet<string> = new Set(['type', 'id', 'kind', 'parent']);
const MODERATES: ReadonlySet<string | undefined> = new Set(['owner', 'moderator']);
/** What of an op says something, by its type. */
const SILENT: Readonly<Record<string, string>> = { react: 'body', save: 'note' };
const REGISTERS = { draft: 'drafts', save: 'saved' } as const;
type Register = keyof typeof REGISTERS;

const word = (value: unknown): string => (typeof value === 'string' ? value : '');
const words = (value: unknown): string[] => (Array.isArray(value) ? value.map(word) : []);

/** What it is about: a message, or a register of one's own. Empty: nothing takes it back. */
function subjectOf(op: AnyOp): string {
  if (OF_MESSAGES.has(op.type)) return word(op['id']);
  if (op.type === 'draft') return `draft ${word(op['room'])}/${word(op['parent'])}`;
  return op.type === 'save' ? `save ${word(op['room'])}/${word(op['id'])}` : '';
}

export function endsTheRoom({ op }: Place): boolean {
  return op.type === 'erase' && op['reason'] === ROOM;
}

/** The same op, saying nothing. */
function hushed(op: AnyOp): AnyOp {
  if (op.type === 'post' || op.type === 'edit') {
    return { ...only(op, (name) => PLACE.has(name)), body: BLANK } as AnyOp;
  }
  if (op.type === 'draft') return op['body'] ? { ...op, body: BLANK } : op;
  return only(op, (name) => name !== SILENT[op.type]) as AnyOp;
}

function only(op: AnyOp, which: (name: string) => boolean): Partial<AnyOp> {
  return Object.fromEntries(Object.entries(op).filter(([name]) => which(name)));
}

/** As the server tells of an erased place; its clock stays, since a clock never sinks, and so does that
 *  something was pinned, as it does when it sinks below the floor. */
function emptied(place: Place): Place {
  const { seq, ident, version, clock, op } = place;
  if (STAYS.has(op.type)) return place;
  const left = op.type === 'pin' ? op : { type: 'erased' };
  return { seq, ident, version, clock, at: EPOCH, account: null, part: 'none', op: left };
}

/** Who wrote it, who moderates, and the server. */
function mayEnd(first: Place, { account, part }: Place): boolean {
  return account === null || account === first.account || MODERATES.has(part);
}

/** Of the places about one message, in their order. */
function isDeleted(places: readonly Place[]): boolean {
  const first = places.find(({ op }) => op.type === 'post');
  if (first === undefined) return false;
  return places.some((place) => place.op.type === 'delete' && mayEnd(first, place));
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What of its replica is changed here. */
interface Pen {
  write(write: Write): void;
  keep(change: Partial<File>): void;
}

/** Owned by a replica. What it knows of the copy is read once, and again after `forgot`. */
export class Erasing {
  private bySubject: Map<string, Set<number>> | null = null;
  private erased = new Set<string>();

  constructor(
    private readonly copy: Copy,
    private readonly pen: Pen,
  ) {}

  private known(): Map<string, Set<number>> {
    if (this.bySubject !== null) return this.bySubject;
    this.bySubject = new Map();
    this.erased = new Set();
    for (const place of this.copy.entries.values()) this.note(place);
    return this.bySubject;
  }

  private note({ seq, op }: Place): void {
    if (op.type === 'erase') for (const id of words(op['ids'])) this.erased.add(id);
    const subject = subjectOf(op);
    const seqs = this.bySubject?.get(subject) ?? new Set();
    if (subject !== '') this.bySubject?.set(subject, seqs.add(seq));
  }

  /** Entries left the copy. */
  forgot(): void {
    this.bySubject = null;
  }

  /** Another copy took the place of the one that was there. */
  anew(): void {
    this.forgot();
    this.heard([...this.copy.entries.values()]);
  }

  /** These came, and are in the copy. */
  heard(places: readonly Place[]): void {
    this.known();
    const subjects = new Set<string>();
    for (const place of places) {
      const { op } = place;
      this.note(place);
      if (op.type === 'erase') {
        for (const seq of Array.isArray(op['seqs']) ? op['seqs'] : []) this.empty(Number(seq));
        for (const id of words(op['ids'])) subjects.add(id);
      }
      subjects.add(subjectOf(op));
    }
    for (const subject of subjects) this.settle(subject);
  }

  /** A change that is about to be made: of what is gone already it says nothing. */
  quiet(op: AnyOp): AnyOp {
    const subject = subjectOf(op);
    return SAYS.has(op.type) && this.isGone(subject, this.about(subject)) ? hushed(op) : op;
  }

  private isGone(subject: string, about: readonly Place[]): boolean {
    return this.erased.has(subject) || isDeleted(about);
  }

  /** By seq. */
  private about(subject: string): Place[] {
    const seqs = [...(this.known().get(subject) ?? [])].toSorted((a, b) => a - b);
    const places = seqs.map((seq) => this.copy.entries.get(seq));
    return places.filter(
      (place) => place !== undefined && subjectOf(place.op) === subject,
    ) as Place[];
  }

  private empty(seq: number): void {
    const place = this.copy.entries.get(seq);
    if (place !== undefined) this.replace(place, emptied(place));
  }

  private settle(subject: string): void {
    const [register] = subject.split(' ', 1);
    if (subject === '') return;
    if (register === 'draft' || register === 'save') this.overwrite(register, subject);
    else this.settleMessage(subject);
  }

  private settleMessage(subject: string): void {
    const about = this.about(subject);
    if (!this.isGone(subject, about)) return;
    const isErased = this.erased.has(subject);
    const first = about.find(({ op }) => op.type === 'post');
    for (const place of about) {
      if (!isErased && place === first) this.replace(place, { ...place, op: hushed(place.op) });
      else if (isErased || SAYS.has(place.op.type)) this.replace(place, emptied(place));
    }
    this.hushPending(subject, () => true);
  }

  /** A device's own that is not in the log yet overwrites nothing: it may be refused. */
  private overwrite(register: Register, subject: string): void {
    const about = this.about(subject);
    const key = subject.slice(register.length + 1);
    const held = this.held(register, key);
    const stamps = [...about.map(stampOf), ...(held === null ? [] : [held.stamp])];
    const newest = stamps.toSorted(byStamp).at(-1);
    if (newest === undefined) return;
    for (const place of about) {
      const isOld = byStamp(stampOf(place), newest) < 0;
      if (isOld) this.replace(place, { ...place, op: hushed(place.op) });
    }
    if (held !== null && byStamp(held.stamp, newest) < 0) this.hushState(register, key, held);
    const { ident } = this.copy.file;
    this.hushPending(subject, ({ clock, version }) => byStamp([clock, ident, version], newest) < 0);
  }

  /** What is left of entries that are gone. */
  private held(register: Register, key: string): Held | null {
    const state = this.copy.file.state as AccountState | null;
    const records: Readonly<Record<string, Held>> = state?.[REGISTERS[register]] ?? {};
    return Object.hasOwn(records, key) ? (records[key] ?? null) : null;
  }

  private hushState(register: Register, key: string, held: Held): void {
    const state = this.copy.file.state as AccountState;
    const name = REGISTERS[register];
    const silent = { ...held, [register]: hushed(held[register] as AnyOp) };
    this.pen.keep({ state: { ...state, [name]: { ...state[name], [key]: silent } } });
  }

  private replace(place: Place, other: Place): void {
    if (!isSame(place, other)) this.pen.write({ write: 'entry', entry: other });
  }

  private hushPending(subject: string, which: (change: Pending) => boolean): void {
    for (const change of inOrder(this.copy.pending)) {
      if (subjectOf(change.op) !== subject || !which(change)) continue;
      const op =
        SAYS.has(change.op.type) || change.op.type in REGISTERS ? hushed(change.op) : change.op;
      if (!isSame(op, change.op)) this.pen.write({ write: 'pend', change: { ...change, op } });
    }
  }
}

interface Held {
  readonly stamp: Stamp;
  readonly draft?: AnyOp;
  readonly save?: AnyOp;
}
