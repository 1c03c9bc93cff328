// The sync client in a real browser: IndexedDB, Web Locks and sockets as they are, against a real server.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { invitation } from '../accounts';
import { signUp } from '../people';
import type { Scenarios, World } from '../world';

type Sync = typeof import('../sync-page');
type Client = Awaited<ReturnType<Sync['openProfile']>>;
interface Bundled {
  readonly output: readonly { readonly code?: string }[];
}

/** The client as one classic script that leaves `sottoSync` behind. */
async function bundle(): Promise<string> {
  const entry = fileURLToPath(new URL('../sync-page.ts', import.meta.url));
  const lib = { entry, formats: ['iife' as const], name: 'sottoSync' };
  const made = await build({ configFile: false, logLevel: 'error', build: { lib, write: false } });
  const [first] = (Array.isArray(made) ? made : [made]) as unknown as Bundled[];
  return first?.output[0]?.code ?? '';
}

/** One tab of the profile, with the client running on `room`. */
class SyncTab {
  sockets = 0;

  private constructor(
    readonly page: Page,
    private readonly room: string,
  ) {}

  static async open(page: Page, script: string, account: string, room: string): Promise<SyncTab> {
    const tab = new SyncTab(page, room);
    page.on('websocket', (socket) => {
      if (socket.url().includes('/sync')) tab.sockets += 1;
    });
    await page.addScriptTag({ content: script });
    await page.evaluate(
      async ([whose, path]) => {
        const sync = Reflect.get(globalThis, 'sottoSync') as Sync;
        const client = await sync.openProfile(window, new sync.Api(), whose);
        client.partition(path);
        client.start();
        Reflect.set(globalThis, 'client', client);
      },
      [account, `room:${room}`] as const,
    );
    return tab;
  }

  async post(text: string): Promise<void> {
    await this.page.evaluate(
      async ([path, words]) => {
        const sync = Reflect.get(globalThis, 'sottoSync') as Sync;
        const client = Reflect.get(globalThis, 'client') as Client;
        const id = sync.messageId(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
        await client.make(path, sync.ops.post(id, words));
      },
      [`room:${this.room}`, text] as const,
    );
  }

  async synced(): Promise<void> {
    await this.page.evaluate(
      (path) => (Reflect.get(globalThis, 'client') as Client).synced(path, 20_000),
      `room:${this.room}`,
    );
  }

  /** What this tab shows, and whether all of it came back from the server. */
  async texts(): Promise<{ texts: string[]; waits: number }> {
    return this.page.evaluate(async (room) => {
      const client = Reflect.get(globalThis, 'client') as Client;
      const { messages } = await client.view(room);
      const texts = messages.map(({ body }) => (body?.format === 'm.plain.v1' ? body.text : ''));
      return { texts: texts.map(String), waits: client.partition(`room:${room}`).waits };
    }, this.room);
  }

  async shows(texts: readonly string[]): Promise<void> {
    const end = Date.now() + 15_000;
    for (;;) {
      const found = await this.texts();
      if (found.waits === 0 && found.texts.join() === texts.join()) return;
      assert.ok(Date.now() < end, `it shows ${JSON.stringify(found)}`);
      await this.page.waitForTimeout(50);
    }
  }
}

/** With the page's own cookie. */
async function ask(page: Page, method: string, path: string, body?: object): Promise<unknown> {
  return page.evaluate(
    async ([how, where, text]) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`/api/v1${where}`, { method: how, headers, body: text });
      if (!answer.ok) throw new Error(`${where}: ${answer.status}`);
      return (await answer.json()) as unknown;
    },
    [method, path, body === undefined ? null : JSON.stringify(body)] as const,
  );
}

interface History {
  readonly items: readonly { readonly body?: { readonly text?: string } }[];
}

/** By the public API, oldest first. */
async function said(page: Page, room: string): Promise<string[]> {
  const { items } = (await ask(page, 'GET', `/rooms/${room}/messages?limit=100`)) as History;
  return items.map(({ body }) => body?.text ?? '').toReversed();
}

export const scenarios: Scenarios = {
  async 'tabs of one profile share a room, its copy and one socket'(world: World) {
    const script = await bundle();
    const tab = await world.chromium.open({ ignoreHTTPSErrors: true, bypassCSP: true });
    await tab.goto(await invitation(world));
    await signUp(tab, 'syd');
    await tab.sees('Your account is ready');
    const { id: account } = (await ask(tab.page, 'GET', '/account')) as { id: string };
    const wish = { kind: 'group', name: 'Tea' };
    const { id: room } = (await ask(tab.page, 'POST', '/rooms', wish)) as { id: string };
    const context = tab.page.context();
    const next = async () => {
      const page = await context.newPage();
      await page.goto(world.secure);
      return SyncTab.open(page, script, account, room);
    };

    const first = await next();
    await first.post('one');
    await first.synced();
    const second = await next();
    await second.post('two');
    for (const each of [first, second]) await each.shows(['one', 'two']);
    assert.deepEqual([first.sockets, second.sockets], [1, 0]);

    await first.page.close();
    await second.post('three');
    await second.shows(['one', 'two', 'three']);
    assert.equal(second.sockets, 1);

    await context.setOffline(true);
    await second.post('four');
    assert.deepEqual((await second.texts()).texts, ['one', 'two', 'three', 'four']);
    await second.page.close();
    await context.setOffline(false);
    const third = await next();
    await third.shows(['one', 'two', 'three', 'four']);
    assert.deepEqual(await said(third.page, room), ['one', 'two', 'three', 'four']);
    world.note(`the client alone: ${Math.round(script.length / 1000)} kB before compression`);
  },
};
