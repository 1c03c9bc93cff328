import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { newFile } from './copy';
import type { Copy, Write } from './copy';
import { IndexedDbStorage } from './indexeddb';
import type { Place } from './model';
import { MemoryStorage, Outrun } from './storage';
import type { Storage } from './storage';

const PATH = 'room:tea';
const place = (seq: number): Place => ({
  seq,
  ident: '7',
  version: seq,
  clock: seq,
  at: '2026-01-01T00:00:00Z',
  op: { type: 'void' },
});
const pend = (version: number): Write => ({
  write: 'pend',
  change: { version, clock: version, op: { type: 'post' } },
});
const file = (revision: number, cursor = 0): Write => ({
  write: 'file',
  file: { ...newFile(PATH), revision, cursor },
});
const entry = (seq: number): Write => ({ write: 'entry', entry: place(seq) });
const stage = (seq: number): Write => ({ write: 'stage', entry: place(seq) });
const shown = ({ entries, staged, pending, handed }: Copy) => ({
  entries: [...entries.keys()],
  staged: [...staged.keys()],
  pending: [...pending.keys()],
  handed: [...handed.keys()],
});

const STORAGES: Record<string, () => Promise<Storage>> = {
  memory: async () => new MemoryStorage(),
  IndexedDB: () => IndexedDbStorage.open(new IDBFactory(), 'copies'),
};

beforeEach(() => {
  vi.stubGlobal('IDBKeyRange', IDBKeyRange);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

describe.each(Object.entries(STORAGES))('the storage %s', (_, open) => {
  it('begins with nothing', async () => {
    const storage = await open();
    expect((await storage.load(PATH)).file).toEqual(newFile(PATH));
    expect(await storage.paths()).toEqual([]);
  });

  it('keeps what it is told, by partition', async () => {
    const storage = await open();
    await storage.apply(PATH, [entry(1), entry(2), stage(9), pend(1), file(1, 2)]);
    await storage.apply('room:milk', [entry(5)]);
    const copy = await storage.load(PATH);
    expect(shown(copy)).toEqual({ entries: [1, 2], staged: [9], pending: [1], handed: [] });
    expect(copy.file.cursor).toBe(2);
    expect(copy.entries.get(2)).toEqual(place(2));
    expect((await storage.load('room:milk')).entries.size).toBe(1);
  });

  it('puts what was staged in the place of all entries', async () => {
    const storage = await open();
    await storage.apply(PATH, [entry(1), stage(3), stage(4)]);
    await storage.apply('room:milk', [entry(1), stage(8)]);
    await storage.apply(PATH, [{ write: 'take_staged' }]);
    expect(shown(await storage.load(PATH))).toMatchObject({ entries: [3, 4], staged: [] });
    expect(shown(await storage.load('room:milk'))).toMatchObject({ entries: [1], staged: [8] });
  });

  it('drops what it is told to', async () => {
    const storage = await open();
    const several = [1, 2, 3, 4];
    await storage.apply(PATH, [...several.map(entry), ...several.map(stage), ...several.map(pend)]);
    await storage.apply('room:milk', [entry(1), pend(1)]);
    await storage.apply(PATH, [
      { write: 'forget', upto: 2 },
      { write: 'unstage' },
      { write: 'unpend_upto', version: 2 },
      { write: 'unpend', version: 4 },
    ]);
    const left = { entries: [3, 4], staged: [], pending: [3], handed: [] };
    expect(shown(await storage.load(PATH))).toEqual(left);
    expect(shown(await storage.load('room:milk'))).toMatchObject({ entries: [1], pending: [1] });
  });

  it('keeps what is handed over until it is taken', async () => {
    const storage = await open();
    const change = { id: 'x', op: { type: 'post' } };
    await storage.apply(PATH, [{ write: 'hand', change }]);
    expect(await storage.handed(PATH)).toEqual([change]);
    expect(await storage.handed('room:milk')).toEqual([]);
    await storage.apply(PATH, [{ write: 'unhand', id: 'x' }]);
    expect(await storage.handed(PATH)).toEqual([]);
  });

  it('keeps nothing of a step that somebody else was ahead of', async () => {
    const storage = await open();
    await storage.apply(PATH, [file(1)]);
    await storage.apply(PATH, [file(2)]);
    await expect(storage.apply(PATH, [entry(1), file(2)])).rejects.toBeInstanceOf(Outrun);
    const copy = await storage.load(PATH);
    expect(copy.entries.size).toBe(0);
    expect(copy.file.revision).toBe(2);
    await storage.apply(PATH, [file(3)]);
  });

  it('gives copies that are the caller own', async () => {
    const storage = await open();
    await storage.apply(PATH, [entry(1)]);
    (await storage.load(PATH)).entries.clear();
    expect((await storage.load(PATH)).entries.size).toBe(1);
  });

  it('forgets all of it', async () => {
    const storage = await open();
    await storage.apply(PATH, [entry(1), file(1)]);
    await storage.destroy();
    storage.close();
  });
});

describe('IndexedDB', () => {
  it('is there when it is opened again', async () => {
    const factory = new IDBFactory();
    const first = await IndexedDbStorage.open(factory, 'copies');
    await first.apply(PATH, [entry(1), file(1)]);
    first.close();
    const second = await IndexedDbStorage.open(factory, 'copies');
    expect(await second.paths()).toEqual([PATH]);
    await second.destroy();
    const third = await IndexedDbStorage.open(factory, 'copies');
    expect(await third.paths()).toEqual([]);
  });

  it('begins copies of before anew, which kept what was deleted', async () => {
    const factory = new IDBFactory();
    const request = factory.open('copies', 1);
    await new Promise((resolve) => {
      request.addEventListener('upgradeneeded', () => {
        const files = request.result.createObjectStore('file', { keyPath: 'path' });
        files.put({ ...newFile(PATH), ident: '7', cursor: 5, chain: 'chain', acked: 2, next: 3 });
        const keyPath = ['path', 'seq'];
        const entries = request.result.createObjectStore('entry', { keyPath });
        entries.put({ path: PATH, seq: 1, value: place(1) });
        request.result.createObjectStore('staged', { keyPath });
        request.result.createObjectStore('pending', { keyPath: ['path', 'version'] });
        request.result.createObjectStore('handed', { keyPath: ['path', 'id'] });
      });
      request.addEventListener('success', resolve);
    });
    request.result.close();
    const copy = await (await IndexedDbStorage.open(factory, 'copies')).load(PATH);
    expect(copy.file).toMatchObject({ ident: '7', cursor: 0, chain: '', acked: 2, next: 3 });
    expect(shown(copy).entries).toEqual([1]);
  });

  it('keeps nothing of a step that fails', async () => {
    const storage = await IndexedDbStorage.open(new IDBFactory(), 'copies');
    const bad = { ...place(2), op: { type: 'post', no: () => 'functions cannot be kept' } };
    await expect(storage.apply(PATH, [entry(1), { write: 'entry', entry: bad }])).rejects.toThrow();
    expect((await storage.load(PATH)).entries.size).toBe(0);
  });
});
