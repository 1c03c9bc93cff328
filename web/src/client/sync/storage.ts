// Where copies are kept: the port, and the storage of a device that forgets.
import { copied, newCopy, written } from './copy';
import type { Copy, Handed, Write } from './copy';

/** The copy was written by somebody else since it was read: read it again. */
export class Outrun extends Error {
  override readonly name = 'Outrun';
}

/** Each call of `apply` is one transaction: all of it is kept when it returns, or none. */
export interface Storage {
  /** What is kept of a partition; a new copy when there is nothing. The caller's own. */
  load(path: string): Promise<Copy>;
  /** Raises Outrun when what is kept is not of the revision before the one that is written. */
  apply(path: string, writes: readonly Write[]): Promise<void>;
  /** What other tabs handed over and nobody took yet. */
  handed(path: string): Promise<Handed[]>;
  paths(): Promise<string[]>;
  close(): void;
  /** Everything of this profile, gone. */
  destroy(): Promise<void>;
}

export class MemoryStorage implements Storage {
  private readonly copies = new Map<string, Copy>();

  async load(path: string): Promise<Copy> {
    return copied(this.copies.get(path) ?? newCopy(path));
  }

  async apply(path: string, writes: readonly Write[]): Promise<void> {
    const copy = this.copies.get(path) ?? newCopy(path);
    requireNext(copy.file.revision, writes);
    for (const write of writes) written(copy, write);
    this.copies.set(path, copy);
  }

  async handed(path: string): Promise<Handed[]> {
    return [...(this.copies.get(path)?.handed.values() ?? [])];
  }

  async paths(): Promise<string[]> {
    return [...this.copies.keys()].toSorted();
  }

  close(): void {
    // Nothing is open.
  }

  async destroy(): Promise<void> {
    this.copies.clear();
  }
}

/** Raises Outrun. */
export function requireNext(kept: number, writes: readonly Write[]): void {
  for (const write of writes) {
    if (write.write === 'file' && write.file.revision !== kept + 1) throw new Outrun();
  }
}
