// A device of one account: the partitions it follows, and what it sends for them. Everything that is read or
// made works while the server is away, and in every tab; one tab has the socket. Time, randomness, sockets
// and storage are given to it. What ends it for good is `trouble`.
import type { Failure } from '../errors';
import type { AccountState } from './account-state';
import { Around, begin } from './around';
import type { Followed } from './around';
import { Dialer } from './dialer';
import type { Outside } from './dialer';
import { OWN, ownOf } from './folding';
import type { ErrorFrame, SessionFrame } from './frames';
import type { Line } from './line';
import type { AnyOp } from './model';
import { Partition } from './partition';
import type { Host } from './partition';
import { Presence } from './presence';
import { LogRing } from './ring';
import { viewOf } from './room';
import type { Storage } from './storage';
import { OneTab } from './tabs';
import type { News, Tabs } from './tabs';
import { fateOf } from './verdicts';
import { waitFor } from './waiting';
import type { RoomView } from './views';

const PATIENCE_MS = 30_000;

export class SyncClient {
  readonly log: LogRing;
  private readonly dialer: Dialer;
  private readonly partitions = new Map<string, Partition>();
  private readonly bySession = new Map<number, Followed>();
  private readonly around: Around;
  private readonly listeners = new Set<() => void>();
  private readonly stopped = new AbortController();
  private readonly host: Host;
  private readonly tabs: Tabs;
  private leads: boolean;
  private numbers = 0;

  constructor(
    private readonly account: string,
    private readonly storage: Storage,
    private readonly outside: Outside,
    tabs?: Tabs,
  ) {
    this.tabs = tabs ?? new OneTab();
    this.leads = tabs === undefined;
    this.log = new LogRing(() => outside.clock.now());
    this.dialer = new Dialer(outside, {
      opened: (line) => this.opened(line),
      heard: (frame) => this.heard(frame),
      gone: () => this.gone(),
      note: (level, text) => this.log.write(level, text),
    });
    this.host = this.asHost();
    this.around = new Around(() => this.handedId(), {
      number: (presence) => this.number(presence),
      line: () => this.dialer.line,
      tell: (news) => this.tabs.tell(news),
      changed: () => this.changed(),
    });
    this.tabs.listen((news) => this.told(news));
  }

  private asHost(): Host {
    return {
      leads: () => this.leads,
      now: () => this.outside.clock.now(),
      number: (partition) => this.number(partition),
      kept: (path, writes) => this.tabs.tell({ kind: 'kept', path, writes }),
      // It may have become this tab's turn meanwhile.
      handed: (path) => (this.leads ? this.take(path) : this.tabs.tell({ kind: 'handed', path })),
      handedId: () => this.handedId(),
      changed: () => this.changed(),
      failed: (partition, error) => {
        this.log.write('error', `could not be kept: ${String(error)}`);
        this.again(partition);
      },
    };
  }

  get isConnected(): boolean {
    return this.dialer.line !== null;
  }

  /** Why it ended for good: sign in again. */
  get trouble(): Failure | null {
    return this.dialer.trouble;
  }

  /** How many sockets there were. */
  get connections(): number {
    return this.dialer.connections;
  }

  // Life

  /** Returns at once; raises nothing. */
  start(): void {
    this.tabs
      .lead(() => this.serve(), this.stopped.signal)
      .catch((error: unknown) => this.log.write('error', String(error)));
  }

  stop(): void {
    this.stopped.abort();
    this.tabs.close();
  }

  /** There may be a network again: try now. */
  wake(): void {
    this.dialer.wake();
  }

  /** Told after every change of anything; returns how to stop listening. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }

  /** Of the tab whose turn it is, until it stops or is refused for good. */
  private async serve(): Promise<void> {
    this.leads = true;
    this.tabs.tell({ kind: 'who_is_shown' });
    for (const path of await this.storage.paths()) this.partition(path);
    for (const partition of this.partitions.values()) {
      await partition.reload();
      await partition.take();
    }
    await this.dialer.run(this.stopped.signal);
  }

  // The socket

  private opened(line: Line): void {
    this.around.opened(line);
    for (const followed of this.followed()) {
      if (!followed.isStopped) begin(followed, line);
    }
    this.changed();
  }

  private gone(): void {
    this.bySession.clear();
    for (const followed of this.followed()) followed.gone();
    this.changed();
  }

  private followed(): Followed[] {
    return [...this.partitions.values(), ...this.around.followed()];
  }

  private number(followed: Followed): number {
    this.bySession.delete(followed.session);
    this.numbers += 1;
    this.bySession.set(this.numbers, followed);
    return this.numbers;
  }

  private async heard(frame: SessionFrame): Promise<void> {
    const partition = this.bySession.get(frame.session);
    if (frame.type === 'error') this.complain(frame, partition);
    if (partition === undefined) return;
    const before = partition.phase;
    // What could not be kept was told to `failed`.
    if (partition instanceof Presence) partition.hear(frame);
    else await partition.hear(frame).catch(() => undefined);
    if (before !== 'synced' && partition.phase === 'synced') this.dialer.backoff.reset();
  }

  private complain(frame: ErrorFrame, partition: Followed | undefined): void {
    this.log.write('warning', `error ${frame.code} ${frame.name}: ${frame.body.message}`);
    switch (fateOf(frame)) {
      case 'sign_out':
        this.dialer.refuse(frame.name);
        return;
      case 'token':
      case 'reconnect':
        this.dialer.line?.close();
        return;
      case 'stop':
      case 'forget':
        if (partition !== undefined) partition.isStopped = true;
        return;
      case 'again':
        if (partition !== undefined) this.again(partition);
        return;
      default:
      // The replica knows what to do.
    }
  }

  private again(partition: Followed): void {
    const { line, backoff } = this.dialer;
    if (line === null) return;
    this.outside.clock.setTimeout(() => {
      const isSame = this.dialer.line === line;
      if (isSame && partition.phase === 'away') begin(partition, line);
    }, backoff.wait());
  }

  // Tabs

  private told(news: News): void {
    if (news.kind === 'handed' && this.leads) this.take(news.path);
    if (news.kind === 'kept' && !this.leads) {
      const adopted = this.partitions.get(news.path)?.adopt(news.writes);
      adopted?.catch((error: unknown) => this.log.write('warning', String(error)));
    }
    this.around.told(news, this.leads);
  }

  private take(path: string): void {
    this.partition(path)
      .take()
      .catch((error: unknown) => this.log.write('warning', String(error)));
  }

  /** Rises within this tab, and hardly ever meets that of another. */
  private handedId(): string {
    this.numbers += 1;
    const at = String(Math.floor(this.outside.clock.now())).padStart(15, '0');
    const noise = Math.floor(this.outside.random() * 1e9);
    return `${at}-${String(this.numbers).padStart(9, '0')}-${noise}`;
  }

  // Partitions

  /** Follow it from now on: `room:<id>`, or `account`. */
  partition(path: string): Partition {
    const found = this.partitions.get(path);
    if (found !== undefined) return found;
    const made = new Partition(path, this.storage, this.host);
    this.partitions.set(path, made);
    const { line } = this.dialer;
    if (line !== null) begin(made, line);
    return made;
  }

  /** The same; also one that the server had said to stop with: a room that one was let into again. */
  follow(path: string): Partition {
    const found = this.partition(path);
    const { line } = this.dialer;
    if (found.isStopped && line !== null) begin(found, line);
    found.isStopped = false;
    return found;
  }

  /** How people are whom one shares a room with, followed from now on. */
  presence(): Presence {
    return this.around.follow(this.leads);
  }

  /** Whether this page is shown: of a device that nobody looks at the account is away. */
  look(isShown: boolean): void {
    this.around.look(isShown);
  }

  /** Kept when this returns: it will be sent, whatever happens to this page. */
  async make(path: string, op: AnyOp): Promise<void> {
    await this.partition(path).make(op);
  }

  async view(room: string): Promise<RoomView> {
    const { copy } = await this.partition(`room:${room}`).open();
    return viewOf(copy, this.account);
  }

  /** The account's own data: drafts, saved and hidden messages, blocks, preferences. */
  async own(): Promise<AccountState> {
    return ownOf((await this.partition(OWN).open()).copy);
  }

  /** Until all that the server had is here and nothing waits. Raises Failure. */
  async synced(path: string, ms: number = PATIENCE_MS): Promise<void> {
    const partition = this.partition(path);
    const { clock } = this.outside;
    const end = clock.now() + ms;
    const until = async (holds: () => boolean) =>
      waitFor(holds, end, clock, (listener) => this.subscribe(listener));
    await partition.open();
    // Only the tab with the socket can ask the server.
    if (!this.leads) return until(() => partition.waits === 0);
    for (;;) {
      await until(() => partition.phase === 'synced' && partition.waits === 0);
      const { session } = partition;
      const request = partition.mark();
      const isOver = () => partition.session !== session || partition.phase !== 'synced';
      await until(() => partition.hasMark(request) || isOver());
      if (partition.hasMark(request) && !isOver()) return;
    }
  }
}
