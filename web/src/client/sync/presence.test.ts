import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { PersonShown } from './frames';
import type { News, Tabs } from './tabs';
import { settled } from './fakes';
import { IDENT, Stage } from './stage.fakes';
import { MemoryStorage } from './storage';
import type { SyncClient } from './sync-client';

interface Step {
  readonly do: 'connect' | 'hear' | 'gone';
  readonly frame?: object;
  readonly sends: readonly object[];
  readonly people: Readonly<Record<string, string>>;
}

const FILE = new URL('../../../../tests/golden/presence/watching.json', import.meta.url);
const GOLDEN = JSON.parse(readFileSync(FILE, 'utf8')) as { readonly steps: readonly Step[] };

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});

const person = (account: string, state: string, more: object = {}): PersonShown => ({
  account,
  state,
  text: '',
  emoji: '',
  until: null,
  seen_at: null,
  ...more,
});

const first = (people: readonly PersonShown[]) => ({
  type: 'download',
  session: 1,
  upload_client_version: 0,
  from: 0,
  to: 0,
  head: 0,
  floor: 0,
  chain: '',
  bootstrap: 'last',
  state: { people },
  changes: [],
});

async function following(client: SyncClient, people: readonly PersonShown[]) {
  const presence = client.presence();
  const socket = await stage.started(client);
  await socket.hello();
  await socket.say({ ...IDENT, session: 1 });
  await socket.say(first(people));
  return { presence, socket };
}

describe('presence', () => {
  it('does as the golden transcript says', async () => {
    const client = stage.client(new MemoryStorage());
    const presence = client.presence();
    await stage.started(client);
    for (const step of GOLDEN.steps) {
      const before = stage.last().sent.length;
      if (step.do === 'connect') await stage.last().hello();
      else if (step.do === 'hear') await stage.last().say(step.frame);
      else await stage.last().end(1006);
      const sent = stage.last().sent.slice(before);
      expect(sent).toMatchObject(step.sends);
      expect(sent).toHaveLength(step.sends.length);
      const shown = [...presence.people.values()].map(({ account, state }) => [account, state]);
      expect(Object.fromEntries(shown)).toEqual(step.people);
      if (step.do === 'gone') await stage.clock.advance(2000);
    }
  });

  it('tells of those who changed, and of nobody else', async () => {
    const client = stage.client(new MemoryStorage());
    const { presence, socket } = await following(client, [person('bob', 'online')]);
    const told: (readonly PersonShown[])[] = [];
    const stop = presence.subscribe((people) => told.push(people));
    const people = [person('bob', 'online'), person('cy', 'busy')];
    await socket.say({ type: 'presence', session: 1, people });
    expect(told).toEqual([[person('cy', 'busy')]]);
    stop();
    await socket.say({ type: 'presence', session: 1, people: [person('cy', 'away')] });
    expect(told).toHaveLength(1);
    expect([presence.of('cy').state, presence.of('dora').state]).toEqual(['away', 'offline']);
  });

  it('keeps what it heard last while it is away, then begins anew', async () => {
    const client = stage.client(new MemoryStorage());
    const { presence, socket } = await following(client, [person('bob', 'online')]);
    await socket.end(1006);
    expect([presence.phase, presence.of('bob').state]).toEqual(['away', 'online']);
    await stage.clock.advance(2000);
    const next = stage.last();
    await next.hello();
    await next.say({ ...IDENT, session: 2 });
    await next.say({ ...first([person('cy', 'away')]), session: 2 });
    expect([presence.of('bob').state, presence.of('cy').state]).toEqual(['offline', 'away']);
  });

  it('is not followed unless somebody asks', async () => {
    const socket = await stage.started(stage.client(new MemoryStorage()));
    await socket.hello();
    expect(socket.of('bind')).toEqual([]);
  });
});

describe('what is looked at', () => {
  it('is told when the last tab is hidden, and when one is shown again', async () => {
    const client = stage.client(new MemoryStorage());
    client.look(true);
    const socket = await stage.started(client);
    await socket.hello();
    expect(socket.of('pace')).toEqual([]);
    client.look(false);
    expect(socket.of('pace')).toEqual([{ type: 'pace', background: true, seconds: 25 }]);
    client.look(true);
    expect(socket.of('pace').at(-1)).toEqual({ type: 'pace', background: false });
  });

  it('is told again to the next socket', async () => {
    const client = stage.client(new MemoryStorage());
    client.look(false);
    const socket = await stage.started(client);
    await socket.hello();
    expect(socket.of('pace')).toHaveLength(1);
  });
});

/** Another tab, without the socket. */
class Beside implements Tabs {
  readonly told: News[] = [];
  private listener: (news: News) => void = () => undefined;

  constructor(private readonly leads: boolean) {}

  async lead(work: () => Promise<void>): Promise<void> {
    if (this.leads) await work();
  }

  tell(news: News): void {
    this.told.push(news);
  }

  listen(listener: (news: News) => void): void {
    this.listener = listener;
  }

  hear(news: News): void {
    this.listener(news);
  }

  close(): void {
    // Nothing is open.
  }
}

describe('several tabs', () => {
  it('are told how people are by the one with the socket', async () => {
    const tabs = new Beside(true);
    const { socket } = await following(stage.client(new MemoryStorage(), tabs), []);
    const people = [person('bob', 'busy')];
    await socket.say({ type: 'presence', session: 1, people });
    expect(tabs.told).toContainEqual({ kind: 'people', people, isWhole: false });
    tabs.hear({ kind: 'people_wanted' });
    expect(tabs.told.at(-1)).toEqual({ kind: 'people', people, isWhole: true });
  });

  it('ask for it when they have no socket', async () => {
    const tabs = new Beside(false);
    const client = stage.client(new MemoryStorage(), tabs);
    client.start();
    await settled();
    const presence = client.presence();
    expect(tabs.told.at(-1)).toEqual({ kind: 'people_wanted' });
    tabs.hear({ kind: 'people', people: [person('bob', 'online')], isWhole: true });
    expect(presence.of('bob').state).toBe('online');
  });

  it('are in the background only when all of them are', async () => {
    const tabs = new Beside(true);
    const client = stage.client(new MemoryStorage(), tabs);
    client.look(true);
    const socket = await stage.started(client);
    await socket.hello();
    expect(tabs.told).toContainEqual({ kind: 'who_is_shown' });
    tabs.hear({ kind: 'shown', tab: 'other', isShown: true });
    client.look(false);
    expect(socket.of('pace')).toEqual([]);
    tabs.hear({ kind: 'shown', tab: 'other', isShown: false });
    expect(socket.of('pace')).toHaveLength(1);
    tabs.hear({ kind: 'who_is_shown' });
    expect(tabs.told.at(-1)).toMatchObject({ kind: 'shown', isShown: false });
  });
});
