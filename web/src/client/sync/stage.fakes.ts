// A client on a made-up network, for tests: every socket that it opened, a clock to move, and what its
// tickets are refused with.
import type { Failure } from '../errors';
import { FakeClock, FakeSocket, LAST, seeded, settled } from './fakes';
import type { Storage } from './storage';
import { SyncClient } from './sync-client';
import type { Tabs } from './tabs';

export const PATH = 'room:tea';
export const IDENT = { type: 'ident', client_file_ident: '7', client_file_ident_salt: 'salt' };
export const POST = {
  type: 'post',
  id: 'one',
  body: { format: 'm.plain.v1', text: 'hello' },
} as const;

export class Stage {
  readonly clock = new FakeClock();
  readonly sockets: FakeSocket[] = [];
  refusal: Failure | null = null;

  client(storage: Storage, tabs?: Tabs): SyncClient {
    const outside = {
      url: 'wss://sotto.example/sync',
      ticket: async () => {
        if (this.refusal !== null) throw this.refusal;
        return 'a/ticket';
      },
      open: (url: string, protocols: string[]) => {
        const socket = new FakeSocket(url, protocols);
        this.sockets.push(socket);
        return socket;
      },
      clock: this.clock,
      random: seeded(1),
    };
    return new SyncClient('ana', storage, outside, tabs);
  }

  last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no socket was opened');
    return socket;
  }

  async started(client: SyncClient): Promise<FakeSocket> {
    client.start();
    await settled();
    return this.last();
  }

  /** Connected, with a session on PATH that has all there is. */
  async synced(client: SyncClient): Promise<FakeSocket> {
    client.partition(PATH);
    const socket = await this.started(client);
    await socket.hello();
    await socket.say({ ...IDENT, session: 1 });
    await socket.say({ ...LAST, session: 1 });
    return socket;
  }
}
