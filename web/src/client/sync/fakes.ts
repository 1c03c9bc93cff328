// Stand-ins for tests: a clock that is moved by hand, randomness from a seed, a socket, and a server that
// knows just enough of the protocol to be lost, cut and met again.
import type { Clock } from './clock';
import type { ClientFrame, Download, Incoming, SessionFrame } from './frames';
import type { Socket } from './line';
import type { Place } from './model';

export class FakeClock implements Clock {
  private time = 1_800_000_000_000;
  private handles = 0;
  private timers = new Map<number, { at: number; callback: () => void }>();

  now(): number {
    return this.time;
  }

  setTimeout(callback: () => void, ms: number): number {
    this.handles += 1;
    this.timers.set(this.handles, { at: this.time + ms, callback });
    return this.handles;
  }

  clearTimeout(handle: number): void {
    this.timers.delete(handle);
  }

  /** Milliseconds until the next timer; null when there is none. */
  next(): number | null {
    const times = [...this.timers.values()].map(({ at }) => at - this.time);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Everything that is due until then happens, in its order, with what follows of it. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter(([, { at }]) => at <= end);
      const [first] = due.toSorted(([, a], [, b]) => a.at - b.at);
      if (first === undefined) break;
      const [handle, { at, callback }] = first;
      this.timers.delete(handle);
      this.time = Math.max(this.time, at);
      callback();
      await settled();
    }
    this.time = end;
    await settled();
  }
}

/** Until nothing happens any more without a clock. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, 0);
    });
  }
}

/** The same numbers from 0 to 1 in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Heard = { message: { data: unknown }; close: { code: number }; error: undefined };

export class FakeSocket implements Socket {
  readonly sent: (ClientFrame | { type: 'pong'; id: number })[] = [];
  isClosed = false;
  protocol = 'sotto.1';
  private readonly listeners = new Map<string, ((event: never) => void)[]>();

  constructor(
    readonly url: string = '',
    readonly protocols: readonly string[] = [],
  ) {}

  send(data: string): void {
    this.sent.push(JSON.parse(data) as ClientFrame);
  }

  close(): void {
    this.isClosed = true;
  }

  addEventListener(type: keyof Heard, listener: (event: never) => void): void {
    this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener]);
  }

  private emit<Type extends keyof Heard>(type: Type, event: Heard[Type]): void {
    for (const listener of this.listeners.get(type) ?? []) listener(event as never);
  }

  /** From the server. */
  async say(frame: unknown): Promise<void> {
    this.emit('message', { data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
    await settled();
  }

  async hello(more: object = {}): Promise<void> {
    const rates = { messages_per_second: 50, messages_burst: 200 };
    const beats = { ping_seconds: 25, pong_seconds: 10 };
    await this.say({ type: 'hello', version: 1, account: 'ana', ...beats, ...rates, ...more });
  }

  async end(code: number): Promise<void> {
    this.emit('close', { code });
    await settled();
  }

  async fail(): Promise<void> {
    this.emit('error', undefined);
    await settled();
  }

  of<Type extends ClientFrame['type']>(type: Type): Extract<ClientFrame, { type: Type }>[] {
    return this.sent.filter((frame) => frame.type === type) as never;
  }
}

export const LAST = {
  type: 'download',
  from: 0,
  to: 0,
  head: 0,
  floor: 0,
  chain: '',
  bootstrap: 'last',
  changes: [],
  upload_client_version: 0,
} as const;

interface Session {
  readonly number: number;
  ident: string;
  cursor: number;
}

/** One socket at the server: what its client has not read yet. */
export class FakeLine {
  readonly out: SessionFrame[] = [];
  readonly sessions = new Map<number, Session>();
}

/** A log of one partition and its sessions. Refuses nothing; restores nothing. */
export class FakeServer {
  readonly log: Place[] = [];
  private readonly cursors = new Map<string, number>();
  private readonly lines = new Set<FakeLine>();
  private idents = 0;

  open(): FakeLine {
    const line = new FakeLine();
    this.lines.add(line);
    return line;
  }

  cut(line: FakeLine): void {
    this.lines.delete(line);
  }

  take(line: FakeLine, frame: ClientFrame): void {
    if (frame.type === 'pong' || frame.type === 'pace') return;
    const session = line.sessions.get(frame.session);
    if (frame.type === 'bind') this.bind(line, frame);
    else if (session === undefined) throw new Error(`no session ${frame.session}`);
    else if (frame.type === 'ident') this.identify(line, session, frame);
    else if (frame.type === 'upload') this.upload(session, frame.changes);
    else if (frame.type === 'mark') line.out.push(frame);
    else line.sessions.delete(frame.session);
  }

  private bind(line: FakeLine, frame: Extract<ClientFrame, { type: 'bind' }>): void {
    const { session } = frame;
    line.sessions.set(session, { number: session, ident: '', cursor: 0 });
    if (!frame.need_client_file_ident) return;
    this.idents += 1;
    const given = { client_file_ident: String(this.idents), client_file_ident_salt: 'salt' };
    line.out.push({ type: 'ident', session, ...given });
  }

  private identify(
    line: FakeLine,
    session: Session,
    frame: Extract<ClientFrame, { type: 'ident' }>,
  ): void {
    session.ident = frame.client_file_ident;
    session.cursor = frame.download_server_version;
    if (frame.upload_client_version > this.cursor(session)) throw new Error('it knows more');
    const isNew = session.cursor === 0;
    line.out.push({
      ...this.download(session, isNew),
      ...(isNew ? { bootstrap: 'last' as const } : {}),
    });
  }

  private cursor({ ident }: Session): number {
    return this.cursors.get(ident) ?? 0;
  }

  private download(session: Session, isWhole: boolean): Download {
    const places = this.log.slice(session.cursor);
    const from = session.cursor;
    session.cursor = this.log.length;
    const changes = places.map((place): Incoming => {
      const isOwn = place.ident === session.ident && !isWhole;
      return isOwn ? Object.assign({}, place, { op: undefined }) : place;
    });
    const to = this.log.length;
    const upload = { upload_client_version: this.cursor(session) };
    const ends = { from, to, head: to, floor: 0, chain: `chain-${to}` };
    return { type: 'download', session: session.number, ...ends, ...upload, changes };
  }

  private upload(session: Session, changes: readonly Omit<Place, 'seq' | 'ident' | 'at'>[]): void {
    for (const { version, clock, op } of changes) {
      const cursor = this.cursor(session);
      if (version > cursor + 1) throw new Error(`${version} does not follow ${cursor}`);
      if (version <= cursor) continue;
      this.cursors.set(session.ident, version);
      const at = new Date(clock).toISOString();
      const place = { ident: session.ident, version, clock, at, account: 'ana', part: 'member' };
      this.log.push({ seq: this.log.length + 1, ...place, op });
    }
    for (const line of this.lines) {
      for (const live of line.sessions.values()) {
        if (live.ident !== '') line.out.push(this.download(live, false));
      }
    }
  }
}
