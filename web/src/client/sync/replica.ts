// One partition on one device: frames of its session in, frames out, and the writes that must be kept
// before those are sent. Pure, as the Python client's replica is, and held to the same transcripts.
//
//   away --begin--> bound --first download--> synced --socket gone, error--> away
//
// What is seen is the fold of what the log has, with what is pending replayed on top. A pending change
// leaves when it comes back from the log, not when it is acknowledged.
import { inOrder, written } from './copy';
import type { Copy, File, KeptState, Pending, Write } from './copy';
import type { ClientFrame, Download, ErrorFrame, Incoming, Rejected, SessionFrame } from './frames';
import { Erasing, endsTheRoom } from './erasing';
import { sunk } from './folding';
import { identOf, unbindOf } from './frames';
import type { AnyOp, Place } from './model';
import { sendable, uploadsOf } from './outbox';
import { fateOf } from './verdicts';

export type Phase = 'away' | 'bound' | 'synced';

/** What one step came to. Its frames may be sent once its writes are kept, all of them or none. */
export interface Step {
  readonly writes: readonly Write[];
  readonly frames: readonly ClientFrame[];
}

/** What came does not follow on what is here. */
class NeedsReset extends Error {}

export class Replica {
  phase: Phase = 'away';
  session = 0;
  /** What the server gave no effect. */
  readonly refused: Rejected[] = [];
  /** Requests whose answer came. */
  readonly marks = new Set<number>();
  /** How often this copy was begun anew. */
  resets = 0;
  /** About how many bytes are still to come. */
  coming = 0;
  private writes: Write[] = [];
  private sent = 0;
  private asked = 0;
  private readonly erasing: Erasing;

  /** `copy` belongs to it from now on. `number` gives each session a number that is new to its socket. */
  constructor(
    readonly copy: Copy,
    private readonly number: () => number,
  ) {
    const write = (one: Write) => this.write(one);
    this.erasing = new Erasing(copy, { write, keep: (change) => this.keep(change) });
  }

  get file(): File {
    return this.copy.file;
  }

  pending(): Pending[] {
    return inOrder(this.copy.pending);
  }

  /** A change of this device. `now` is Unix time in milliseconds. */
  make(op: AnyOp, now: number): Step {
    return this.step(() => {
      this.pend(op, now);
      return this.uploads();
    });
  }

  /** What other tabs made becomes pending, in the order of their ids. */
  take(now: number): Step {
    return this.step(() => {
      const handed = [...this.copy.handed.values()];
      for (const { id, op } of handed.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
        this.pend(op, now);
        this.write({ write: 'unhand', id });
      }
      return this.uploads();
    });
  }

  private pend(op: AnyOp, now: number): void {
    const { next, clock } = this.file;
    const at = Math.max(Math.floor(now), clock + 1);
    const change = { version: next, clock: at, op: this.erasing.quiet(op) };
    this.write({ write: 'pend', change });
    this.keep({ next: next + 1, clock: change.clock });
  }

  /** What was not sent yet on this socket, in frames that servers take. */
  private uploads(): ClientFrame[] {
    if (this.phase !== 'synced') return [];
    const waiting = sendable(this.pending(), this.sent, this.file.acked);
    this.sent = waiting.at(-1)?.version ?? this.sent;
    return uploadsOf(this.session, waiting);
  }

  /** A request number, and the frame that asks whether all has come. */
  mark(): { request: number; frame: ClientFrame } {
    this.asked += 1;
    const request = this.asked;
    return { request, frame: { type: 'mark', session: this.session, request } };
  }

  // The session

  /** A session on the socket that is there now. */
  begin(): Step {
    return this.step(() => this.bind());
  }

  gone(): void {
    this.phase = 'away';
  }

  private bind(): ClientFrame[] {
    this.session = this.number();
    this.phase = 'bound';
    this.sent = this.file.acked;
    if (this.copy.staged.size > 0) this.write({ write: 'unstage' });
    const bind = { type: 'bind', session: this.session, path: this.file.path } as const;
    if (this.file.ident === '') return [{ ...bind, need_client_file_ident: true }];
    return [bind, identOf(this.session, this.file)];
  }

  /** A frame of this session. What is of another one, or came too late, is nothing. */
  hear(frame: SessionFrame): Step {
    return this.step(() => {
      if (frame.session !== this.session || this.phase === 'away') return [];
      switch (frame.type) {
        case 'ident':
          this.keep({ ident: frame.client_file_ident, salt: frame.client_file_ident_salt });
          return [identOf(this.session, this.file)];
        case 'download':
          return this.download(frame);
        case 'error':
          return this.error(frame);
        default:
          if (frame.type === 'mark') this.marks.add(frame.request);
          return [];
      }
    });
  }

  private error(frame: ErrorFrame): ClientFrame[] {
    const fate = fateOf(frame);
    if (fate === 'warn') this.refused.push(...(frame.body.rejectedUpdates ?? []));
    if (fate === 'warn' || fate === 'ignore') return [];
    this.phase = 'away';
    if (fate === 'forget') this.forget();
    if (fate === 'rename') {
      this.rename();
      return this.bind();
    }
    return fate === 'begin_anew' ? this.beginAnew() : [];
  }

  /** The copy stays visible until the new one is complete. */
  private beginAnew(): ClientFrame[] {
    this.resets += 1;
    this.keep({ cursor: 0, chain: '' });
    return this.bind();
  }

  /** The partition is there no more, and this copy says nothing of it; what was not sent stays. */
  private forget(): void {
    this.phase = 'away';
    this.write({ write: 'forget', upto: Number.MAX_SAFE_INTEGER });
    this.write({ write: 'unstage' });
    this.keep({ cursor: 0, floor: 0, chain: '', state: null });
    this.erasing.forgot();
  }

  /** Another ident, with what is pending under new versions: an ident is never used again. */
  private rename(): void {
    const waiting = this.pending();
    this.resets += 1;
    this.write({ write: 'unpend_upto', version: this.file.next });
    for (const [place, { clock, op }] of waiting.entries()) {
      this.write({ write: 'pend', change: { version: place + 1, clock, op } });
    }
    const unnamed = { ident: '', salt: '', chain: '', cursor: 0, acked: 0 };
    this.keep({ ...unnamed, next: waiting.length + 1 });
    this.sent = 0;
  }

  private download(frame: Download): ClientFrame[] {
    this.coming = frame.downloadable_bytes ?? 0;
    try {
      const isNews = frame.bootstrap === undefined ? this.follow(frame) : this.bootstrap(frame);
      if (!isNews) return [];
    } catch (error) {
      if (!(error instanceof NeedsReset)) throw error;
      return [unbindOf(this.session), ...this.beginAnew()];
    }
    if (this.phase === 'away') return [unbindOf(this.session)];
    const uploaded = frame.upload_client_version;
    if (uploaded < this.file.acked || uploaded >= this.file.next) {
      // A restored server, or a restored device: this name is used up.
      const unbind = unbindOf(this.session);
      this.rename();
      return [unbind, ...this.bind()];
    }
    this.sent = Math.max(this.sent, uploaded);
    if (uploaded > this.file.acked) this.keep({ acked: uploaded });
    this.phase = 'synced';
    return this.uploads();
  }

  /** True when it is complete: only then anything of it is seen. */
  private bootstrap(frame: Download): boolean {
    for (const change of frame.changes) {
      const { op } = change;
      // A bootstrap brings everything whole.
      if (op === undefined) throw new NeedsReset();
      this.write({ write: 'stage', entry: { ...change, op } });
    }
    this.hearClocks(frame.changes);
    if (frame.bootstrap === 'more') return false;
    this.write({ write: 'take_staged' });
    const uploaded = frame.upload_client_version;
    if (uploaded < this.file.next) this.write({ write: 'unpend_upto', version: uploaded });
    const state = (frame.state ?? {}) as KeptState;
    const clock = Math.max(this.file.clock, state.clock ?? 0);
    this.keep({ clock, state: Object.keys(state).length > 0 ? state : null });
    this.erasing.anew();
    this.arrived(frame);
    return true;
  }

  /** False for what is here already. */
  private follow(frame: Download): boolean {
    const { cursor, floor } = this.file;
    if (frame.to < cursor) return false;
    // A floor never sinks, but on a server that was restored.
    if (frame.from !== cursor || frame.floor < floor) throw new NeedsReset();
    const places = frame.changes.map((change) => this.whole(change));
    for (const entry of places) {
      const { ident, version } = entry;
      if (ident === this.file.ident) this.write({ write: 'unpend', version });
      this.write({ write: 'entry', entry });
    }
    this.erasing.heard(places);
    this.hearClocks(places);
    this.sinkTo(frame.floor);
    this.arrived(frame);
    if (places.some(endsTheRoom)) this.forget();
    return true;
  }

  /** One's own change comes without its op: it is the pending one of that version. */
  private whole(change: Incoming): Place {
    if (change.op !== undefined) return { ...change, op: change.op };
    const pending = this.copy.pending.get(change.version);
    if (change.ident !== this.file.ident || pending === undefined) throw new NeedsReset();
    return { ...change, op: pending.op };
  }

  /** What is at or below the floor leaves; what it did to the room itself stays. */
  private sinkTo(floor: number): void {
    if (floor <= this.file.floor) return;
    const leaving = inOrder(this.copy.entries).filter((entry) => entry.seq <= floor);
    this.keep({ state: sunk(this.file.path, this.file.state, leaving) });
    this.write({ write: 'forget', upto: floor });
    this.erasing.forgot();
  }

  private arrived(frame: Download): void {
    const { to: cursor, floor } = frame;
    this.keep({ cursor, floor, chain: frame.chain || this.file.chain });
  }

  private hearClocks(changes: readonly Incoming[]): void {
    const heard = changes.reduce((clock, change) => Math.max(clock, change.clock), 0);
    if (heard > this.file.clock) this.keep({ clock: heard });
  }

  // Writes

  private step(work: () => ClientFrame[]): Step {
    this.writes = [];
    const before = this.file;
    const frames = work();
    const { writes } = this;
    if (writes.length > 0 || this.file !== before) {
      this.write({ write: 'file', file: { ...this.file, revision: before.revision + 1 } });
    }
    return { writes, frames };
  }

  private write(write: Write): void {
    this.writes.push(write);
    written(this.copy, write);
  }

  /** Written at the end of the step, once. */
  private keep(change: Partial<File>): void {
    this.copy.file = { ...this.file, ...change };
  }
}
