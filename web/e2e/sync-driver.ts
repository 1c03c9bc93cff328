// One device of the sync client in a process of its own, told what to do by lines of JSON: for tests/sync, where
// it sits beside Python devices on a real server that is killed. One request a line, `{id, do, ...}`; one
// answer, `{id, answer}` or `{id, error}`, in the order in which they are ready.
import { createInterface } from 'node:readline';
import { randomFillSync } from 'node:crypto';
import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import * as v from 'valibot';
import { Api } from '../src/client/api';
import {
  Backoff,
  IndexedDbStorage,
  SyncClient,
  clockOf,
  messageId,
  ops,
  ticketFrom,
} from '../src/client/sync';

const Open = v.object({
  url: v.string(),
  token: v.string(),
  account: v.string(),
  first_ms: v.number(),
});
const Post = v.object({ room: v.string(), text: v.string() });
const Make = v.object({ path: v.string(), op: v.looseObject({ type: v.string() }) });
const Path = v.object({ path: v.string() });
const Wait = v.object({ path: v.string(), ms: v.number() });
const COPIES = 'copies';
const Request = v.looseObject({ id: v.number(), do: v.string() });
type Request = v.InferOutput<typeof Request>;

class Device {
  private constructor(
    private readonly client: SyncClient,
    private readonly factory: IDBFactory,
  ) {}

  static async open(words: unknown): Promise<Device> {
    const { url, token, account, first_ms: first } = v.parse(Open, words);
    const api = new Api((path, init) => {
      const headers = { ...(init?.headers as object), authorization: `Bearer ${token}` };
      return fetch(`${url}${String(path)}`, { ...init, headers });
    });
    const factory = new IDBFactory();
    const storage = await IndexedDbStorage.open(factory, COPIES);
    const outside = {
      url: `${url.replace(/^http/, 'ws')}/sync`,
      ticket: () => ticketFrom(api),
      open: (to: string, protocols: string[]) => new WebSocket(to, protocols),
      // Node's timers are objects; the client only hands them back.
      clock: clockOf(globalThis as unknown as Window),
      random: Math.random,
      backoff: new Backoff(Math.random, first),
    };
    return new Device(new SyncClient(account, storage, outside), factory);
  }

  readonly acts: Readonly<Record<string, (words: Request) => unknown>> = {
    start: () => this.client.start(),
    stop: () => this.client.stop(),
    log: () => this.client.log.read(),
    dump: () => dumped(this.factory),
    trouble: () => this.client.trouble?.code ?? null,
    follow: async (words) => {
      await this.client.follow(v.parse(Path, words).path).open();
    },
    post: async (words) => {
      const { room, text } = v.parse(Post, words);
      const id = messageId(Date.now(), randomFillSync(new Uint8Array(10)));
      await this.client.make(`room:${room}`, ops.post(id, text));
      return id;
    },
    make: async (words) => {
      const { path, op } = v.parse(Make, words);
      await this.client.make(path, op);
    },
    synced: async (words) => {
      const { path, ms } = v.parse(Wait, words);
      await this.client.synced(path, ms);
    },
    seen: async (words) => {
      const { path } = v.parse(Path, words);
      const partition = this.client.partition(path);
      const { copy, resets } = await partition.open();
      return {
        view: await this.client.view(path.replace(/^room:/, '')),
        seqs: [...copy.entries.keys()].toSorted((a, b) => a - b),
        pending: copy.pending.size,
        resets,
        refused: partition.refused,
        phase: partition.phase,
        connections: this.client.connections,
      };
    },
  };
}

/** Every row of every store of its database, as it is there. */
async function dumped(factory: IDBFactory): Promise<string> {
  const database = await answered(factory.open(COPIES));
  const names = [...database.objectStoreNames];
  const stores = database.transaction(names, 'readonly');
  const rows = names.map((name) => answered(stores.objectStore(name).getAll()));
  const found = await Promise.all(rows);
  database.close();
  return JSON.stringify(found);
}

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error ?? new Error('IndexedDB')));
  });
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function answer(device: Device, request: Request): Promise<void> {
  const { id } = request;
  try {
    const act = device.acts[request.do];
    if (act === undefined) throw new Error(`unknown: ${request.do}`);
    say({ id, answer: (await act(request)) ?? null });
  } catch (error) {
    say({ id, error: String(error) });
  }
}

/** Until its input ends. The first line opens the device. */
export async function main(): Promise<void> {
  Object.assign(globalThis, { IDBKeyRange });
  let device: Device | null = null;
  for await (const line of createInterface({ input: process.stdin })) {
    const request = v.parse(Request, JSON.parse(line));
    if (device === null) {
      device = await Device.open(request);
      say({ id: request.id, answer: null });
    } else {
      // Not awaited: a wait must not hold up what comes after it.
      answer(device, request).catch((error: unknown) => say({ error: String(error) }));
    }
  }
  process.exit(0);
}
