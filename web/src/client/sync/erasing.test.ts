// A copy says nothing more of what its log took back, and shows the same as if it had kept it all: in seeded
// histories of a room, whatever comes when. tests/sync/test_erasing.py has the same of the Python client.
import { describe, expect, it } from 'vitest';
import { newCopy } from './copy';
import type { Copy } from './copy';
import { LAST, seeded } from './fakes';
import { ownOf } from './folding';
import { Messages, isEntry } from './messages';
import type { AnyOp, Place } from './model';
import { Replica } from './replica';
import { viewOf } from './room';
import { advanced } from './room-state';

const PATH = 'room:tea';
const HISTORIES = 150;
const AT = '2027-01-15T08:00:00Z';
const ACCOUNTS = ['ana', 'ben', 'mod'];
const KINDS = ['post', 'post', 'edit', 'edit', 'react', 'vote', 'pin', 'close', 'delete', 'erase'];

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const said = (text: string) => ({ format: 'm.plain.v1', text });

/** `raw` is as if nothing were ever emptied. */
class History {
  readonly raw: Place[] = [];
  readonly random: () => number;
  private readonly ids: string[] = [];

  constructor(seed: number) {
    this.random = seeded(seed);
    const length = 5 + Math.floor(this.random() * 35);
    for (let number = 0; number < length; number += 1) this.one(number);
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)] as T;
  }

  private one(number: number): void {
    const kind = this.ids.length === 0 ? 'post' : this.pick(KINDS);
    const op = kind === 'post' ? this.post(number) : this.about(kind, number);
    const account = op.type === 'erase' ? null : this.pick(ACCOUNTS);
    const part = account === 'mod' ? 'moderator' : 'member';
    const clock = 1000 + number * this.pick([-1, 1]);
    const seq = this.raw.length + 1;
    this.raw.push({ seq, ident: `${account}-1`, version: seq, clock, at: AT, account, part, op });
  }

  private post(number: number): AnyOp {
    const id = `id-${number}`;
    const parent = this.random() < 0.3 && this.ids.length > 0 ? this.pick(this.ids) : null;
    this.ids.push(id);
    // Some of what is about it was heard before.
    if (this.random() < 0.2) this.ids.push(`id-${number + 1}`);
    return { type: 'post', id, parent, body: said(`t${number}`), custom: { text: `t${number}` } };
  }

  private about(kind: string, number: number): AnyOp {
    const id = this.pick(this.ids);
    if (kind === 'erase') {
      const seqs = this.raw.filter(({ op }) => op['id'] === id).map(({ seq }) => seq);
      return { type: 'erase', seqs, ids: [id] };
    }
    const more: Record<string, object> = {
      edit: { body: said(`t${number}`) },
      react: { emoji: '+1' },
      vote: { choices: [1] },
      pin: { on: number % 2 === 0 },
    };
    return { type: kind, id, ...more[kind] };
  }

  shown() {
    return new Messages(this.raw.filter(isEntry)).all();
  }

  /** What nobody may find any more. */
  gone(): Set<string> {
    const ended = new Set(
      this.shown()
        .filter(({ deleted }) => deleted !== undefined)
        .map(({ id }) => id),
    );
    for (const { op } of this.raw) for (const id of (op['ids'] as string[]) ?? []) ended.add(id);
    const about = this.raw.filter(({ op }) => ended.has(String(op['id'])));
    return new Set(about.flatMap(({ op }) => wordsOf(op)));
  }
}

/** What people wrote, wherever it is in it. */
function wordsOf(kept: unknown): string[] {
  if (typeof kept !== 'object' || kept === null) return [];
  return Object.entries(kept).flatMap(([name, value]) =>
    name === 'text' && typeof value === 'string' ? [value] : wordsOf(value),
  );
}

function heldBy({ entries, pending, file }: Copy): string[] {
  return wordsOf([[...entries.values()], [...pending.values()], file.state]);
}

class Device {
  readonly replica: Replica;

  constructor(path = PATH) {
    this.replica = new Replica(newCopy(path), () => 1);
    this.replica.begin();
    const given = { client_file_ident: 'ana-1', client_file_ident_salt: 's' };
    this.replica.hear({ type: 'ident', session: 1, ...given });
  }

  hear(places: readonly Place[], more: object = {}): void {
    const { cursor, floor } = this.replica.file;
    const { bootstrap: _, ...last } = LAST;
    const to = places.at(-1)?.seq ?? cursor;
    const ends = { from: cursor, to, head: to, floor, session: 1, changes: [...places] };
    this.replica.hear({ ...last, ...ends, ...more });
  }
}

describe('a copy whose log takes back', () => {
  const seeds = Array.from({ length: HISTORIES }, (_, seed) => seed);

  it.each(seeds)('shows the same and keeps less (%i)', (seed) => {
    const history = new History(seed);
    const device = new Device();
    let rest = [...history.raw];
    let more: object = { bootstrap: 'last' };
    while (rest.length > 0) {
      const count = 1 + Math.floor(history.random() * 9);
      device.hear(rest.slice(0, count), more);
      rest = rest.slice(count);
      more = {};
    }
    const { copy } = device.replica;
    const state = advanced(null, history.raw.filter(isEntry));
    expect(plain(viewOf(copy, 'ana'))).toEqual(plain({ state, messages: history.shown() }));
    const gone = history.gone();
    expect(heldBy(copy).filter((word) => gone.has(word))).toEqual([]);
  });

  it('takes back in most of these histories, and not in all', () => {
    const sizes = seeds.map((seed) => new History(seed).gone().size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(HISTORIES);
    expect(sizes).toContain(0);
  });
});

describe("a draft of an account's own", () => {
  const draft = (seq: number, clock: number, text: string | null): Place => {
    const op = { type: 'draft', room: 'tea', ...(text === null ? {} : { body: said(text) }) };
    return { seq, ident: 'ben-1', version: seq, clock, at: AT, op };
  };

  it('says what is newest, and nothing of before', () => {
    const device = new Device('account');
    const { copy } = device.replica;
    device.hear([draft(1, 10, 'one'), draft(2, 20, 'two')], { bootstrap: 'last' });
    expect(heldBy(copy)).toEqual(['two']);
    device.hear([draft(3, 15, 'of a slow clock')]);
    expect(heldBy(copy)).toEqual(['two']);
    device.replica.gone();
    device.replica.make(draft(9, 0, 'mine').op, 25);
    device.replica.begin();
    device.hear([draft(4, 22, 'three')]);
    expect(heldBy(copy)).toEqual(['three', 'mine']);
    device.hear([draft(5, 30, null)]);
    expect(heldBy(copy)).toEqual([]);
    expect(ownOf(copy).drafts?.['tea/']?.draft['body']).toBeUndefined();
  });

  it('is overwritten where it sank into the state', () => {
    const device = new Device('account');
    const { copy } = device.replica;
    device.hear([draft(1, 10, 'one')], { bootstrap: 'last' });
    device.hear([], { floor: 1 });
    expect(copy.entries.size).toBe(0);
    expect(heldBy(copy)).toEqual(['one']);
    device.hear([draft(2, 20, null)]);
    expect(heldBy(copy)).toEqual([]);
  });
});

describe('a change that other tabs handed over', () => {
  it('says nothing of a message that was erased meanwhile', () => {
    const device = new Device();
    const { copy } = device.replica;
    const post = { type: 'post', id: 'one', body: said('hello') };
    const place = { ident: 'ben-1', clock: 1, at: AT, account: 'ben', part: 'member' };
    device.hear([{ ...place, seq: 1, version: 1, op: post }], { bootstrap: 'last' });
    const op = { type: 'edit', id: 'one', body: said('hello, better') };
    copy.handed.set('x', { id: 'x', op });
    const erase = { type: 'erase', seqs: [1], ids: ['one'] };
    device.hear([{ ...place, seq: 2, version: 2, account: null, op: erase }]);
    device.replica.take(5);
    expect(copy.pending.size).toBe(1);
    expect(heldBy(copy)).toEqual([]);
  });
});
