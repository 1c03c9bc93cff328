import { beforeEach, describe, expect, it } from 'vitest';
import { LAST, settled } from './fakes';
import { PATH, POST, Stage } from './stage.fakes';
import { MemoryStorage } from './storage';
import { ManyTabs } from './tabs';

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});

describe('several tabs of one profile', () => {
  /** Web Locks and a channel between the tabs of a browser. */
  class Browser {
    private tail: Promise<unknown> = Promise.resolve();
    private readonly channels: ((news: unknown) => void)[] = [];

    tab(): ManyTabs {
      const request = async (_: string, options: { signal: AbortSignal }, work: () => unknown) => {
        const turn = this.tail.then(() => (options.signal.aborted ? undefined : work()));
        this.tail = turn.catch(() => undefined);
        await turn;
      };
      const mine: ((event: { data: unknown }) => void)[] = [];
      const hear = (news: unknown) => {
        for (const listener of mine) listener({ data: structuredClone(news) });
      };
      this.channels.push(hear);
      const channel = {
        postMessage: (news: unknown) => {
          for (const other of this.channels) if (other !== hear) other(news);
        },
        addEventListener: (_: string, listener: (event: { data: unknown }) => void) => {
          mine.push(listener);
        },
        close: () => {
          mine.length = 0;
        },
      };
      return new ManyTabs('sotto', { request } as never, channel as never);
    }
  }

  it('have one socket, and what one makes the other sends', async () => {
    const browser = new Browser();
    const storage = new MemoryStorage();
    const first = stage.client(storage, browser.tab());
    const second = stage.client(storage, browser.tab());
    const socket = await stage.synced(first);
    second.start();
    await settled();
    expect(stage.sockets).toHaveLength(1);
    await second.make(PATH, POST);
    expect((await second.view('tea')).messages).toMatchObject([{ id: 'one' }]);
    await settled();
    expect(socket.of('upload')).toMatchObject([{ changes: [{ version: 1, op: POST }] }]);
    const place = { seq: 1, ident: '7', version: 1, clock: 5, at: '2026-01-01T00:00:00Z' };
    const change = { ...place, account: 'ana', part: 'member' };
    const news = { ...LAST, bootstrap: undefined, session: 1, to: 1, head: 1, chain: 'c' };
    await socket.say({ ...news, upload_client_version: 1, changes: [change] });
    for (const client of [first, second]) {
      expect((await client.view('tea')).messages).toMatchObject([{ id: 'one', seq: 1 }]);
    }
    await second.synced(PATH);
  });

  it('go on in the next one when the first is closed, with what was handed over', async () => {
    const browser = new Browser();
    const storage = new MemoryStorage();
    const first = stage.client(storage, browser.tab());
    const second = stage.client(storage, browser.tab());
    await stage.synced(first);
    second.start();
    first.stop();
    await second.make(PATH, POST);
    await settled();
    expect(stage.sockets).toHaveLength(2);
    const socket = stage.last();
    await socket.hello();
    const session = socket.of('bind')[0]?.session;
    expect(socket.of('ident')).toMatchObject([{ client_file_ident: '7' }]);
    await socket.say({ ...LAST, session });
    expect(socket.of('upload')).toMatchObject([{ changes: [{ version: 1, op: POST }] }]);
  });

  it('never take a change twice, however late they hear of it', async () => {
    const browser = new Browser();
    const storage = new MemoryStorage();
    const [first, second] = [
      stage.client(storage, browser.tab()),
      stage.client(storage, browser.tab()),
    ];
    const socket = await stage.synced(first);
    second.start();
    await second.make(PATH, POST);
    await first.partition(PATH).take();
    await first.partition(PATH).take();
    await settled();
    expect(socket.of('upload').flatMap(({ changes }) => changes)).toHaveLength(1);
  });
});
