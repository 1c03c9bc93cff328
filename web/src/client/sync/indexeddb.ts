// Copies in IndexedDB (Indexed Database API 3.0): one database for each account of a profile, one
// transaction for each step, on disk when it has ended.
import { newFile } from './copy';
import type { Copy, File, Handed, Pending, Write } from './copy';
import type { Place } from './model';
import { requireNext } from './storage';
import type { Storage } from './storage';

/** Copies of version 1 kept what was deleted: they are begun anew, and seen until then. */
const VERSION = 2;
/** Object stores and their keys. Each but the first has a row for each item of a copy. */
const STORES = {
  file: 'path',
  entry: ['path', 'seq'],
  staged: ['path', 'seq'],
  pending: ['path', 'version'],
  handed: ['path', 'id'],
} as const;
type Name = keyof typeof STORES;
const NAMES = Object.keys(STORES) as Name[];

type Row<T> = T & { readonly path: string };

export class IndexedDbStorage implements Storage {
  private constructor(
    private readonly db: IDBDatabase,
    private readonly factory: IDBFactory,
  ) {
    // Another tab runs a newer version, or forgets the profile: this one must not stand in its way.
    db.addEventListener('versionchange', () => db.close());
  }

  static async open(factory: IDBFactory, name: string): Promise<IndexedDbStorage> {
    const request = factory.open(name, VERSION);
    request.addEventListener('upgradeneeded', ({ oldVersion }) => {
      if (oldVersion > 0) renew(request.transaction?.objectStore('file'));
      for (const store of oldVersion > 0 ? [] : NAMES) {
        const keyPath = STORES[store];
        const path = typeof keyPath === 'string' ? keyPath : [...keyPath];
        request.result.createObjectStore(store, { keyPath: path });
      }
    });
    return new IndexedDbStorage(await answer(request), factory);
  }

  async load(path: string): Promise<Copy> {
    const done = this.db.transaction(NAMES, 'readonly');
    const all = <T>(name: Name) =>
      answer(done.objectStore(name).getAll(of(path)) as IDBRequest<Row<T>[]>);
    const file = answer(done.objectStore('file').get(path) as IDBRequest<File | undefined>);
    const rows = Promise.all([
      all<{ seq: number; value: Place }>('entry'),
      all<{ seq: number; value: Place }>('staged'),
      all<{ version: number; value: Pending }>('pending'),
      all<{ id: string; value: Handed }>('handed'),
    ]);
    const [entries, staged, pending, handed] = await rows;
    return {
      file: (await file) ?? newFile(path),
      entries: new Map(entries.map(({ seq, value }) => [seq, value])),
      staged: new Map(staged.map(({ seq, value }) => [seq, value])),
      pending: new Map(pending.map(({ version, value }) => [version, value])),
      handed: new Map(handed.map(({ id, value }) => [id, value])),
    };
  }

  async apply(path: string, writes: readonly Write[]): Promise<void> {
    const transaction = this.db.transaction(NAMES, 'readwrite', { durability: 'strict' });
    const done = ended(transaction);
    try {
      if (writes.some(({ write }) => write === 'file')) {
        const file = transaction.objectStore('file').get(path) as IDBRequest<File | undefined>;
        requireNext((await answer(file))?.revision ?? 0, writes);
      }
      for (const write of writes) await put(transaction, path, write);
    } catch (error) {
      done.catch(() => undefined);
      abort(transaction);
      throw error;
    }
    await done;
  }

  async handed(path: string): Promise<Handed[]> {
    const store = this.db.transaction('handed', 'readonly').objectStore('handed');
    const rows = (await answer(store.getAll(of(path)))) as { value: Handed }[];
    return rows.map(({ value }) => value);
  }

  async paths(): Promise<string[]> {
    const store = this.db.transaction('file', 'readonly').objectStore('file');
    return (await answer(store.getAllKeys())) as string[];
  }

  close(): void {
    this.db.close();
  }

  async destroy(): Promise<void> {
    this.db.close();
    await answer(this.factory.deleteDatabase(this.db.name));
  }
}

function renew(files: IDBObjectStore | undefined): void {
  const walk = files?.openCursor();
  walk?.addEventListener('success', () => {
    const found = walk.result;
    if (found === null) return;
    found.update({ ...(found.value as File), cursor: 0, chain: '' });
    found.continue();
  });
}

/** All keys of a partition: an array sorts above every number and text (section 2.4). */
function of(path: string, upto?: number): IDBKeyRange {
  return IDBKeyRange.bound([path], [path, upto ?? []]);
}

/** Waits only where what was read is written again. */
async function put(transaction: IDBTransaction, path: string, write: Write): Promise<void> {
  const store = (name: Name) => transaction.objectStore(name);
  switch (write.write) {
    case 'file':
      store('file').put(write.file);
      return;
    case 'entry':
      store('entry').put({ path, seq: write.entry.seq, value: write.entry });
      return;
    case 'stage':
      store('staged').put({ path, seq: write.entry.seq, value: write.entry });
      return;
    case 'pend':
      store('pending').put({ path, version: write.change.version, value: write.change });
      return;
    case 'hand':
      store('handed').put({ path, id: write.change.id, value: write.change });
      return;
    case 'take_staged':
      return takeStaged(transaction, path);
    default:
      remove(transaction, path, write);
  }
}

type Removal = Extract<
  Write,
  { write: 'forget' | 'unstage' | 'unpend' | 'unpend_upto' | 'unhand' }
>;

function remove(transaction: IDBTransaction, path: string, write: Removal): void {
  const store = (name: Name) => transaction.objectStore(name);
  switch (write.write) {
    case 'forget':
      store('entry').delete(of(path, write.upto));
      return;
    case 'unstage':
      store('staged').delete(of(path));
      return;
    case 'unpend':
      store('pending').delete([path, write.version]);
      return;
    case 'unpend_upto':
      store('pending').delete(of(path, write.version));
      return;
    case 'unhand':
      store('handed').delete([path, write.id]);
  }
}

async function takeStaged(transaction: IDBTransaction, path: string): Promise<void> {
  const entries = transaction.objectStore('entry');
  const staged = transaction.objectStore('staged');
  entries.delete(of(path));
  for (const row of await answer(staged.getAll(of(path)))) entries.put(row);
  staged.delete(of(path));
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error ?? new Error('IndexedDB')));
  });
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = () => reject(transaction.error ?? new Error('IndexedDB'));
    transaction.addEventListener('complete', () => resolve());
    transaction.addEventListener('abort', failed);
  });
}

function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has ended by itself.
  }
}
