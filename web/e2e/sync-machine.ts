// Devices of the sync client for the state machine of tests/sync: each is a partition over a storage that
// dies when it is told to, without sockets. What it would send is the answer, what it hears comes as a
// request. One line of JSON each, in turn: `{do, device, ...}` and `{answer}` or `{error}`.
import { createInterface } from 'node:readline';
import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import * as v from 'valibot';
import { IndexedDbStorage, MemoryStorage, viewOf } from '../src/client/sync';
import type { Copy, Handed, Storage, Write } from '../src/client/sync';
import { inOrder } from '../src/client/sync/copy';
import { read } from '../src/client/sync/frames';
import type { ClientFrame } from '../src/client/sync/frames';
import { Partition } from '../src/client/sync/partition';
import type { Host } from '../src/client/sync/partition';
import { planted } from './sync-planted';

const Named = v.object({ device: v.number() });
const Open = v.object({ path: v.string(), account: v.string(), indexeddb: v.boolean() });
const Hear = v.object({ frame: v.looseObject({ type: v.string() }) });
const Make = v.object({ now: v.number(), op: v.looseObject({ type: v.string() }) });
const Arm = v.object({ moments: v.number() });
const Plant = v.object({ bug: v.nullable(v.string()) });
const Request = v.looseObject({ do: v.string() });
type Request = v.InferOutput<typeof Request>;

class Crash extends Error {}

/** What it kept survives; it dies before or after a transaction, and stays dead until it is revived. */
class DyingStorage implements Storage {
  private left: number | null = null;

  constructor(private readonly inner: Storage) {}

  /** Dies at the moment after so many: each transaction has one before it and one after it. */
  arm(moments: number): void {
    this.left = moments;
  }

  revive(): void {
    this.left = null;
  }

  private moment(): void {
    if (this.left === 0) throw new Crash();
    if (this.left !== null) this.left -= 1;
  }

  async apply(path: string, writes: readonly Write[]): Promise<void> {
    const isTorn = planted() === 'cursor_is_saved_apart';
    const [file, rest] = [true, false].map((is) =>
      writes.filter(({ write }) => (write === 'file') === is),
    ) as [Write[], Write[]];
    const parts = isTorn ? [file, rest] : [writes];
    this.moment();
    for (const part of parts) {
      if (part.length > 0) await this.inner.apply(path, part);
      this.moment();
    }
  }

  async load(path: string): Promise<Copy> {
    return this.inner.load(path);
  }

  async handed(path: string): Promise<Handed[]> {
    return this.inner.handed(path);
  }

  async paths(): Promise<string[]> {
    return this.inner.paths();
  }

  close(): void {
    this.inner.close();
  }

  async destroy(): Promise<void> {
    await this.inner.destroy();
  }
}

class Device {
  private partition: Partition;
  private frames: ClientFrame[] = [];
  private hasDied = false;
  private time = 0;
  private numbers = 0;

  private constructor(
    private readonly path: string,
    private readonly account: string,
    private readonly storage: DyingStorage,
  ) {
    this.partition = this.fresh();
  }

  static async open(words: unknown): Promise<Device> {
    const { path, account, indexeddb } = v.parse(Open, words);
    const inner = indexeddb
      ? await IndexedDbStorage.open(new IDBFactory(), 'copies')
      : new MemoryStorage();
    return new Device(path, account, new DyingStorage(inner));
  }

  private fresh(): Partition {
    const nothing = () => undefined;
    const host: Host = {
      now: () => this.time,
      number: () => {
        this.numbers += 1;
        return this.numbers;
      },
      leads: () => true,
      kept: nothing,
      handed: nothing,
      handedId: () => '',
      changed: nothing,
      failed: nothing,
    };
    return new Partition(this.path, this.storage, host);
  }

  private readonly outlet = {
    send: (frames: readonly ClientFrame[]) => {
      this.frames.push(...frames);
    },
  };

  readonly acts: Readonly<Record<string, (words: Request) => unknown>> = {
    begin: () => this.partition.begin(this.outlet),
    gone: () => this.partition.gone(),
    hear: async (words) => {
      const frame = await read(JSON.stringify(v.parse(Hear, words).frame));
      if (frame !== null && 'session' in frame) await this.partition.hear(frame);
    },
    make: async (words) => {
      const { now, op } = v.parse(Make, words);
      this.time = now;
      await this.partition.make(op);
    },
    arm: (words) => this.storage.arm(v.parse(Arm, words).moments),
    crash: () => {
      this.partition.gone();
      this.storage.revive();
      this.partition = this.fresh();
      this.hasDied = false;
    },
    close: () => this.storage.close(),
  };

  /** What one step came to. */
  async answer(request: Request): Promise<object> {
    if (request.do === 'view') return viewOf((await this.partition.open()).copy, this.account);
    if (request.do === 'entries') return inOrder((await this.partition.open()).copy.entries);
    const act = this.acts[request.do];
    if (act === undefined) throw new Error(`unknown: ${request.do}`);
    this.frames = [];
    try {
      await act(request);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.hasDied = true;
    }
    return this.hasDied ? { died: true } : { frames: this.frames, ...(await this.local()) };
  }

  private async local(): Promise<object> {
    const replica = await this.partition.open();
    const { phase, session, resets, refused, file } = replica;
    const { ident, cursor, floor, acked, next, revision } = file;
    const pending = replica.pending().map(({ version, clock, op }) => [version, clock, op]);
    return {
      phase,
      session,
      resets,
      refused,
      ident,
      cursor,
      floor,
      acked,
      next,
      revision,
      pending,
    };
  }
}

const devices = new Map<number, Device>();

async function answered(line: string): Promise<object> {
  const request = v.parse(Request, JSON.parse(line));
  if (request.do === 'ping') return {};
  if (request.do === 'plant') {
    planted(v.parse(Plant, request).bug);
    return {};
  }
  if (request.do === 'forget') {
    devices.clear();
    return {};
  }
  const { device: number } = v.parse(Named, request);
  const device = devices.get(number);
  if (device !== undefined) return device.answer(request);
  devices.set(number, await Device.open(request));
  return {};
}

/** Until its input ends. */
export async function main(): Promise<void> {
  Object.assign(globalThis, { IDBKeyRange });
  for await (const line of createInterface({ input: process.stdin })) {
    let said: object;
    try {
      said = { answer: await answered(line) };
    } catch (error) {
      said = { error: error instanceof Error ? (error.stack ?? String(error)) : String(error) };
    }
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
}
