// One partition as the client follows it: its replica, what is kept of it, and the line that it is on.
// Every step is made, then kept, then sent, and the next one waits for that: whatever dies in between, what
// was sent was kept before, and what was kept is sent again. Owned by the client.
import { copied, written } from './copy';
import type { Copy, Handed, Write } from './copy';
import type { ClientFrame, Rejected, SessionFrame } from './frames';
import type { AnyOp } from './model';
import { Replica } from './replica';
import type { Phase, Step } from './replica';
import { Outrun } from './storage';
import type { Storage } from './storage';

/** What a partition needs of its client. */
export interface Host {
  now(): number;
  /** A number for a session of this partition that its socket did not have before. */
  number(partition: Partition): number;
  /** Whether this tab writes the copies. */
  leads(): boolean;
  kept(path: string, writes: readonly Write[]): void;
  handed(path: string): void;
  handedId(): string;
  changed(): void;
  /** A step could not be kept; its frames were not sent. */
  failed(partition: Partition, error: unknown): void;
}

interface Outlet {
  send(frames: readonly ClientFrame[]): void;
}

export class Partition {
  /** No longer followed, by the server's word. */
  isStopped = false;
  private found: Replica | null = null;
  private outlet: Outlet | null = null;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    readonly path: string,
    private readonly storage: Storage,
    private readonly host: Host,
  ) {}

  /** What is kept, read once; later calls are quick. */
  async open(): Promise<Replica> {
    return this.queue(() => this.replica());
  }

  /** What is here now; null before it was read. */
  get copy(): Copy | null {
    return this.found?.copy ?? null;
  }

  get phase(): Phase {
    return this.found?.phase ?? 'away';
  }

  get session(): number {
    return this.found?.session ?? 0;
  }

  /** Changes that have not come back from the log. */
  get waits(): number {
    const { pending, handed } = this.found?.copy ?? {};
    return (pending?.size ?? 0) + (handed?.size ?? 0);
  }

  hasMark(request: number): boolean {
    return this.found?.marks.has(request) ?? false;
  }

  /** A change of this device: kept when this returns, sent when it can be. */
  async make(op: AnyOp): Promise<void> {
    if (!this.host.leads()) return this.hand(op);
    const made = (replica: Replica) => replica.make(op, this.host.now());
    try {
      await this.step(made);
    } catch (error) {
      if (!(error instanceof Outrun)) throw error;
      await this.step(made); // by what is kept, which was read again
    }
  }

  /** A session on this line; also again, after an error of the one before. */
  async begin(outlet: Outlet): Promise<void> {
    this.outlet = outlet;
    await this.step((replica) => replica.begin());
  }

  gone(): void {
    this.outlet = null;
    this.found?.gone();
    this.host.changed();
  }

  async hear(frame: SessionFrame): Promise<void> {
    await this.step((replica) => replica.hear(frame));
  }

  /** Asks whether all has come; the number to look for among the marks. */
  mark(): number {
    if (this.found === null) return 0;
    const { request, frame } = this.found.mark();
    this.outlet?.send([frame]);
    return request;
  }

  /** What the server gave no effect, for the person to be told. */
  get refused(): readonly Rejected[] {
    return this.found?.refused ?? [];
  }

  // Tabs

  /** Of a tab without the socket: the one that has it takes it from what is kept. */
  private async hand(op: AnyOp): Promise<void> {
    await this.queue(async () => {
      const { copy } = await this.replica();
      const change: Handed = { id: this.host.handedId(), op };
      const hand: Write = { write: 'hand', change };
      await this.storage.apply(this.path, [hand]);
      written(copy, hand);
      this.host.handed(this.path);
      this.host.changed();
    });
  }

  /** Of the tab with the socket: what others handed over becomes pending. */
  async take(): Promise<void> {
    await this.step(async (replica) => {
      replica.copy.handed.clear();
      for (const change of await this.storage.handed(this.path)) {
        replica.copy.handed.set(change.id, change);
      }
      return replica.take(this.host.now());
    });
  }

  /** What the tab with the socket kept. When some of it was missed, all of it is read again. */
  async adopt(writes: readonly Write[]): Promise<void> {
    await this.queue(async () => {
      const { copy } = await this.replica();
      const file = writes.find((write) => write.write === 'file')?.file;
      const next = copy.file.revision + 1;
      if (file !== undefined && file.revision < next) return;
      if (file?.revision === next) for (const write of writes) written(copy, write);
      else this.found = null;
      await this.replica();
      this.host.changed();
    });
  }

  /** Forget what is here and read what is kept: another tab may have written it. */
  async reload(): Promise<void> {
    await this.queue(async () => {
      this.found = null;
      await this.replica();
    });
  }

  /** A copy of its own for who folds or shows it later. */
  async snapshot(): Promise<Copy> {
    return copied((await this.open()).copy);
  }

  // Steps

  private async replica(): Promise<Replica> {
    this.found ??= new Replica(await this.storage.load(this.path), () => this.host.number(this));
    return this.found;
  }

  private async step(work: (replica: Replica) => Step | Promise<Step>): Promise<void> {
    const { outlet } = this;
    await this.queue(async () => {
      const { writes, frames } = await work(await this.replica());
      if (writes.length > 0) await this.keep(writes);
      outlet?.send(frames);
      this.host.changed();
    });
  }

  private async keep(writes: readonly Write[]): Promise<void> {
    try {
      await this.storage.apply(this.path, writes);
    } catch (error) {
      // What is in memory is ahead of what is kept: it counts for nothing.
      this.found = null;
      this.host.failed(this, error);
      throw error;
    }
    this.host.kept(this.path, writes);
  }

  private async queue<T>(work: () => Promise<T>): Promise<T> {
    const next = this.tail.then(work, work);
    this.tail = next.catch(() => undefined);
    return next;
  }
}
