// The sync client of this browser profile: IndexedDB, Web Locks between its tabs, the page's own sockets. The
// only place of the sync client that touches the page.
import * as v from 'valibot';
import type { Api } from '../api';
import type { Clock } from './clock';
import { IndexedDbStorage } from './indexeddb';
import { MemoryStorage } from './storage';
import type { Storage } from './storage';
import { SyncClient } from './sync-client';
import { ManyTabs } from './tabs';
import type { Tabs } from './tabs';

const PATH = '/sync';
const Ticket = v.object({ ticket: v.string() });

/** `account` is whose device this is: each account of a profile has a database of its own. */
export async function openProfile(
  page: Window & typeof globalThis,
  api: Api,
  account: string,
): Promise<SyncClient> {
  const name = `sotto.sync.${account}`;
  const { storage, tabs } = await keeping(page, name);
  const outside = {
    url: page.location.origin.replace(/^http/, 'ws') + PATH,
    ticket: () => ticketFrom(api),
    open: (url: string, protocols: string[]) => new page.WebSocket(url, protocols),
    clock: clockOf(page),
    random: Math.random,
  };
  const client = new SyncClient(account, storage, outside, tabs);
  page.addEventListener('online', () => client.wake());
  const look = () => client.look(page.document.visibilityState === 'visible');
  page.document.addEventListener('visibilitychange', look);
  page.addEventListener('pageshow', look);
  page.addEventListener('pagehide', () => client.look(false));
  look();
  return client;
}

/** Without locks (pages without TLS) or a database (some private windows) each tab is a device of its own,
 *  with an ident of its own, that forgets when it closes. */
async function keeping(
  page: Window & typeof globalThis,
  name: string,
): Promise<{ storage: Storage; tabs?: Tabs }> {
  const locks = page.navigator.locks as LockManager | undefined;
  if (locks === undefined) return { storage: new MemoryStorage() };
  try {
    const storage = await IndexedDbStorage.open(page.indexedDB, name);
    return { storage, tabs: new ManyTabs(name, locks, new page.BroadcastChannel(name)) };
  } catch {
    return { storage: new MemoryStorage() };
  }
}

export async function ticketFrom(api: Api): Promise<string> {
  const made = await api.ask('createSyncTicket', 'POST', '/api/v1/sync/tickets', Ticket);
  return made.ticket;
}

export function clockOf(page: Pick<Window, 'setTimeout' | 'clearTimeout'>): Clock {
  return {
    now: () => Date.now(),
    setTimeout: (callback, ms) => page.setTimeout(callback, ms),
    clearTimeout: (handle) => page.clearTimeout(handle),
  };
}
