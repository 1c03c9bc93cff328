// This client does what tests/golden/sync says, as the Python client does: the frames in them are a real
// server's (tests/sync/transcripts.py writes them, tests/sync/test_transcripts.py holds server and Python to them).
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inOrder } from './copy';
import { ownOf } from './folding';
import { read } from './frames';
import type { AnyOp } from './model';
import { Replica } from './replica';
import type { Step } from './replica';
import { viewOf } from './room';
import { MemoryStorage } from './storage';

interface Played {
  readonly do: 'connect' | 'hear' | 'make' | 'mark' | 'gone' | 'restart';
  readonly frame?: unknown;
  readonly now?: number;
  readonly op?: AnyOp;
  readonly sends?: unknown[];
  readonly local: unknown;
}

interface Transcript {
  readonly about: string;
  readonly account: string;
  readonly path: string;
  readonly steps: Played[];
  readonly view?: unknown;
}

const FOLDER = new URL('../../../../tests/golden/sync/', import.meta.url);
const TRANSCRIPTS = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map(
    (name) =>
      [name, JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Transcript] as const,
  );

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** What people wrote, wherever it is in what is kept. */
function written(kept: unknown): string[] {
  if (kept instanceof Map) return written([...kept.values()]);
  if (typeof kept !== 'object' || kept === null) return [];
  return Object.entries(kept).flatMap(([name, value]) =>
    (name === 'text' || name === 'note') && typeof value === 'string' ? [value] : written(value),
  );
}

/** A device that hears what a transcript says, and nothing else. */
class Player {
  private readonly storage = new MemoryStorage();
  private sessions = 0;
  replica!: Replica;

  constructor(
    private readonly path: string,
    private readonly account: string,
  ) {}

  async open(): Promise<void> {
    const number = () => {
      this.sessions += 1;
      return this.sessions;
    };
    this.replica = new Replica(await this.storage.load(this.path), number);
  }

  async play(step: Played): Promise<readonly unknown[] | undefined> {
    const made = await this.step(step);
    if (made === undefined) return undefined;
    await this.storage.apply(this.path, made.writes);
    return made.frames;
  }

  private async step(step: Played): Promise<Step | undefined> {
    switch (step.do) {
      case 'connect':
        return this.replica.begin();
      case 'hear':
        return this.hear(step.frame);
      case 'make':
        return this.replica.make(step.op ?? { type: '' }, step.now ?? 0);
      case 'mark':
        return { writes: [], frames: [this.replica.mark().frame] };
      case 'gone':
        this.replica.gone();
        return undefined;
      case 'restart':
        await this.open();
        return undefined;
    }
  }

  private async hear(frame: unknown): Promise<Step> {
    const known = await read(JSON.stringify(frame));
    const isOurs = known !== null && 'session' in known;
    return isOurs ? this.replica.hear(known) : { writes: [], frames: [] };
  }

  /** In the words of the transcripts, of what is kept and of what is shown. */
  async snapshot(): Promise<unknown> {
    const { replica } = this;
    const kept = await this.storage.load(this.path);
    expect(plain(kept.file)).toEqual(plain(replica.file));
    const { path: _, revision: __, ...file } = kept.file;
    const view = viewOf(kept, this.account);
    return plain({
      ...file,
      phase: replica.phase,
      entries: inOrder(kept.entries).map(({ seq }) => seq),
      staged: inOrder(kept.staged).map(({ seq }) => seq),
      pending: inOrder(kept.pending).map(({ version, clock }) => [version, clock]),
      refused: replica.refused.map((found) => found.client_version),
      marks: [...replica.marks].toSorted((a, b) => a - b),
      shows: view.messages.map(({ body }) =>
        body?.format === 'm.plain.v1' ? (body.text ?? '') : '',
      ),
      holds: [
        ...new Set(written([kept.entries, kept.staged, kept.pending, kept.file.state])),
      ].toSorted(),
    });
  }

  async view(): Promise<unknown> {
    const copy = await this.storage.load(this.path);
    return plain(this.path === 'account' ? ownOf(copy) : viewOf(copy, this.account));
  }
}

describe('the golden transcripts', () => {
  it('are there', () => {
    expect(TRANSCRIPTS.length).toBeGreaterThan(15);
  });

  it.each(TRANSCRIPTS)('%s', async (_, { account, path, steps, view }) => {
    const player = new Player(path, account);
    await player.open();
    for (const [place, step] of steps.entries()) {
      const where = `step ${place}: ${step.do}`;
      expect(plain((await player.play(step)) ?? null), where).toEqual(step.sends ?? null);
      expect(await player.snapshot(), where).toEqual(step.local);
    }
    if (view !== undefined) expect(await player.view()).toEqual(view);
  });
});
