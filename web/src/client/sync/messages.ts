// Messages out of a room's log: the view is a function of the set of entries, never of their order.
// An entry is kept with the message that it is about, so entries may come in any order, twice, or be
// erased afterwards. Pure; what it comes to is tests/golden/chat, which the server is held to as well.
import { byStamp, byText, lean, stampOf } from './order';
import { pollOf } from './polls';
import type { Attachment, Call, Edit, Entry, Ops, Part, Place, Post, React, RoomOp } from './model';
import type { CallView, Deleted, MessageView, Reaction, Said, ThreadView } from './views';

const OPS: ReadonlySet<string> = new Set<RoomOp['type']>([
  'create',
  'post',
  'edit',
  'delete',
  'react',
  'pin',
  'vote',
  'close',
  'member',
  'set',
  'mode',
  'call',
  'erase',
  'void',
  'erased',
]);

/** What this version does not know is left out, and so are the places of another partition. */
export function isEntry(place: Place): place is Place & Entry {
  return OPS.has(place.op.type) && place.account !== undefined && place.part !== undefined;
}

/** All of one type, in their order. */
function only<Type extends keyof Ops>(entries: readonly Entry[], type: Type): Entry<Ops[Type]>[] {
  return entries.filter(({ op }) => op.type === type) as unknown as Entry<Ops[Type]>[];
}

function isPost(entry: Entry): entry is Entry<Post> {
  return entry.op.type === 'post';
}

/** The message that an op is about. */
function subjectOf(op: RoomOp): string | null {
  return 'id' in op && typeof op.id === 'string' ? op.id : null;
}

/** Entries by message. Owned by one reader. */
export class Messages {
  private readonly about = new Map<string, Map<number, Entry>>();
  private readonly threads = new Map<string, Set<string>>();
  private readonly goneSeqs = new Set<number>();
  private readonly goneIds = new Set<string>();

  constructor(entries: Iterable<Entry> = []) {
    for (const entry of entries) this.add(entry);
  }

  add(entry: Entry): void {
    const { op } = entry;
    if (op.type === 'erase') {
      for (const seq of op.seqs) this.goneSeqs.add(seq);
      for (const id of op.ids ?? []) this.goneIds.add(id);
      return;
    }
    const subject = subjectOf(op);
    if (subject === null) return;
    upsert(this.about, subject, () => new Map<number, Entry>()).set(entry.seq, entry);
    if (op.type === 'post' && op.parent) {
      upsert(this.threads, op.parent, () => new Set<string>()).add(subject);
    }
  }

  /** In the order of the log. */
  all(): MessageView[] {
    const views = [...this.about.keys()].map((id) => this.message(id));
    return views.filter((view) => view !== null).toSorted((a, b) => a.seq - b.seq);
  }

  message(id: string): MessageView | null {
    if (this.goneIds.has(id)) return null;
    const about = this.alive(id);
    for (const entry of about) {
      if (entry.op.type === 'call') return callOf(entry, about);
      if (isPost(entry)) return this.post(entry, about);
    }
    return null;
  }

  private alive(id: string): Entry[] {
    const entries = [...(this.about.get(id)?.values() ?? [])];
    return entries
      .filter((entry) => !this.goneSeqs.has(entry.seq))
      .toSorted((a, b) => a.seq - b.seq);
  }

  private post(first: Entry<Post>, about: readonly Entry[]): MessageView {
    const { op } = first;
    const base = {
      kind: op.kind === 'text' ? undefined : op.kind,
      parent: op.parent,
      thread: this.thread(op.id),
    };
    const deleted = deletedOf(first, about);
    const rest = deleted === null ? { ...base, ...contents(first, about) } : { ...base, deleted };
    const { id } = op;
    return {
      ...lean(rest),
      id,
      seq: first.seq,
      account: first.account,
      at: first.at,
    } as MessageView;
  }

  private thread(root: string): ThreadView | null {
    const replies = [...(this.threads.get(root) ?? [])].map((id) => this.reply(id, root));
    const posts = replies.filter((post) => post !== null);
    if (posts.length === 0) return null;
    const last = posts.reduce((seq, post) => Math.max(seq, post.seq), 0);
    return { replies: posts.length, last_seq: last, accounts: accountsOf(posts) };
  }

  /** The post of a reply that still says something; of two with one id the first decides. */
  private reply(id: string, root: string): Entry | null {
    if (this.goneIds.has(id)) return null;
    const about = this.alive(id);
    const first = only(about, 'post')[0];
    if (first === undefined || first.op.parent !== root) return null;
    return deletedOf(first, about) === null ? first : null;
  }
}

function upsert<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

function accountsOf(entries: readonly Entry[]): string[] {
  const accounts = new Set(entries.map(({ account }) => account).filter((who) => who !== null));
  return [...accounts].toSorted(byText);
}

function contents(first: Entry<Post>, about: readonly Entry[]): object {
  const { op } = first;
  const edits = only(about, 'edit').filter((edit) => edit.account === first.account);
  const versions: Entry<Post | Edit>[] = [first, ...edits.toSorted(byEntry)];
  const newest = versions.at(-1) ?? first;
  return {
    body: newest.op.body,
    reply_to: op.reply_to,
    mentions: newest === first ? op.mentions : (newest.op.mentions ?? op.mentions),
    attachments: versions.map(attachmentsOf).findLast((found) => found !== null),
    custom: op.custom,
    silent: op.silent,
    forwarded: op.forwarded,
    expires_at: first.expires_at,
    edited_at: edits.length > 0 ? newest.at : null,
    edits: versions.slice(0, -1).map(said),
    reactions: reactionsOf(about),
    pinned: pinnedBy(about),
    poll: pollOf(first, about, mayEnd),
  };
}

/** What the message holds by this op; null when it leaves them as they were. */
function attachmentsOf({ op }: Entry<Post | Edit>): readonly Attachment[] | null {
  if (op.type === 'post') return op.attachments ?? [];
  if (op.body.format !== 'm.plain.v1') return op.attachments ?? null;
  return (op.body.files ?? []).map(
    ({ id, size, voice }) => lean({ id, size, voice }) as Attachment,
  );
}

function pinnedBy(about: readonly Entry[]): boolean {
  const newest = only(about, 'pin').toSorted(byEntry).at(-1);
  return newest !== undefined && (newest.op.on ?? true);
}

function byEntry(a: Entry, b: Entry): number {
  return byStamp(stampOf(a), stampOf(b));
}

function said(entry: Entry<Post | Edit>): Said {
  return { seq: entry.seq, at: entry.at, body: entry.op.body };
}

const MODERATES: ReadonlySet<Part> = new Set(['owner', 'moderator']);

/** Who wrote it, who moderates, and the server. */
function mayEnd(first: Entry, entry: Entry): boolean {
  return entry.account === first.account || MODERATES.has(entry.part) || entry.account === null;
}

function deletedOf(first: Entry, about: readonly Entry[]): Deleted | null {
  const entry = only(about, 'delete').find((found) => mayEnd(first, found));
  if (entry === undefined) return null;
  const { reason } = entry.op;
  return { by: entry.account, at: entry.at, ...(reason ? { reason } : {}) };
}

/** One register for each account and emoji. */
function reactionsOf(about: readonly Entry[]): Reaction[] {
  const newest = new Map<string, Entry<React>>();
  for (const entry of only(about, 'react').toSorted(byEntry)) {
    if (entry.account !== null) newest.set(JSON.stringify([entry.op.emoji, entry.account]), entry);
  }
  const byEmoji = new Map<string, Entry<React>[]>();
  for (const entry of newest.values()) {
    if (entry.op.on ?? true) upsert(byEmoji, entry.op.emoji, () => []).push(entry);
  }
  const emojis = [...byEmoji.keys()].toSorted(byText);
  return emojis.map((emoji) => reaction(emoji, byEmoji.get(emoji) ?? []));
}

function reaction(emoji: string, entries: readonly Entry<React>[]): Reaction {
  const body = entries.toSorted(byEntry).at(-1)?.op.body;
  return { emoji, accounts: accountsOf(entries), ...(body ? { body } : {}) };
}

/** An end outranks the start; of two ends the earlier. */
function callOf(first: Entry, about: readonly Entry[]): MessageView | null {
  const calls = only(about, 'call');
  const op: Call | undefined = (calls.find((entry) => entry.op.state !== 'started') ?? calls[0])
    ?.op;
  if (op === undefined) return null;
  const call: CallView = {
    state: op.state,
    accounts: op.accounts ?? [],
    seconds: op.seconds ?? 0,
    encryption: op.encryption ?? 'none',
  };
  return { id: op.id, seq: first.seq, account: first.account, at: first.at, kind: 'call', call };
}
