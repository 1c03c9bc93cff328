import { beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../errors';
import { LAST, settled } from './fakes';
import { IDENT, PATH, POST, Stage } from './stage.fakes';
import { MemoryStorage } from './storage';

const error = (code: number, session: number, more: object = {}) => ({
  type: 'error',
  code,
  name: `e${code}`,
  session,
  body: { message: 'No.', tryAgain: false, action: 'Warning', ...more },
});

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});

describe('connecting', () => {
  it('offers each version of the protocol and brings a ticket, no token', async () => {
    const socket = await stage.started(stage.client(new MemoryStorage()));
    expect(socket.url).toBe('wss://sotto.example/sync?ticket=a%2Fticket');
    expect(socket.protocols).toEqual(['sotto.1']);
  });

  it('leaves a server that agreed on no protocol', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.started(client);
    socket.protocol = '';
    await socket.hello();
    expect(socket.isClosed).toBe(true);
    expect(client.isConnected).toBe(false);
  });

  it('asks for an ident, and keeps it before it says who it is', async () => {
    const storage = new MemoryStorage();
    const client = stage.client(storage);
    client.partition(PATH);
    const socket = await stage.started(client);
    await socket.hello();
    expect(socket.of('bind')).toEqual([
      { type: 'bind', session: 1, path: PATH, need_client_file_ident: true },
    ]);
    await socket.say({ ...IDENT, session: 1 });
    expect((await storage.load(PATH)).file).toMatchObject({ ident: '7', salt: 'salt' });
    expect(socket.of('ident')).toMatchObject([
      { client_file_ident: '7', upload_client_version: 0 },
    ]);
  });

  it('tries again after one second, doubling, with a quarter of jitter', async () => {
    const client = stage.client(new MemoryStorage());
    await stage.started(client);
    for (const seconds of [1, 2, 4, 8]) {
      await stage.last().end(1006);
      const wait = stage.clock.next() ?? 0;
      expect(wait / 1000).toBeGreaterThanOrEqual(seconds * 0.75);
      expect(wait / 1000).toBeLessThanOrEqual(seconds * 1.25);
      await stage.clock.advance(wait);
    }
    expect(stage.sockets).toHaveLength(5);
  });

  it('tries again after a socket that failed without a close', async () => {
    await stage.started(stage.client(new MemoryStorage()));
    await stage.last().fail();
    await stage.clock.advance(2000);
    expect(stage.sockets).toHaveLength(2);
  });

  it('tries at once when it is woken', async () => {
    const client = stage.client(new MemoryStorage());
    await stage.started(client);
    await stage.last().end(1006);
    client.wake();
    await settled();
    expect(stage.sockets).toHaveLength(2);
  });

  it('waits as long as the server asks', async () => {
    stage.refusal = new Failure('rate_limited', { seconds: 60 });
    const client = stage.client(new MemoryStorage());
    client.start();
    await settled();
    expect(stage.clock.next()).toBe(60_000);
    expect(client.trouble).toBeNull();
  });

  it('gives up when the session is over', async () => {
    stage.refusal = new Failure('token_revoked');
    const client = stage.client(new MemoryStorage());
    client.start();
    await settled();
    expect(client.trouble).toBe(stage.refusal);
    expect(stage.clock.next()).toBeNull();
  });

  it.each([4401, 4403])('gives up after close code %i', async (code) => {
    const client = stage.client(new MemoryStorage());
    await (await stage.synced(client)).end(code);
    expect(client.trouble?.code).toBe('token_revoked');
  });

  it('ends when it is stopped', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    client.stop();
    await settled();
    expect(socket.isClosed).toBe(true);
    await stage.clock.advance(600_000);
    expect(stage.sockets).toHaveLength(1);
  });
});

describe('an open socket', () => {
  it('answers pings', async () => {
    const socket = await stage.synced(stage.client(new MemoryStorage()));
    await socket.say({ type: 'ping', id: 3 });
    expect(socket.sent.at(-1)).toEqual({ type: 'pong', id: 3 });
  });

  it('is left when the server falls silent', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await stage.clock.advance(34_000);
    await socket.say({ type: 'ping', id: 1 });
    await stage.clock.advance(34_000);
    expect(client.isConnected).toBe(true);
    await stage.clock.advance(2000);
    expect(client.isConnected).toBe(false);
    expect(socket.isClosed).toBe(true);
  });

  it('is left when what comes is nonsense', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await socket.say({ type: 'download', session: 1, changes: 'none' });
    expect(socket.isClosed).toBe(true);
  });

  it('passes over what it does not know', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await socket.say({ type: 'hologram', session: 1 });
    expect(client.isConnected).toBe(true);
  });

  it('is given no more than the server takes', async () => {
    const client = stage.client(new MemoryStorage());
    client.partition(PATH);
    const socket = await stage.started(client);
    await socket.hello({ messages_per_second: 10, messages_burst: 10 });
    await socket.say({ ...IDENT, session: 1 });
    await socket.say({ ...LAST, session: 1 });
    for (let number = 0; number < 30; number += 1) {
      await client.make(PATH, { ...POST, id: `m${number}` });
    }
    expect(socket.sent.length).toBe(8);
    await stage.clock.advance(1000);
    expect(socket.sent.length).toBe(9);
    // What waited together left together.
    const versions = socket
      .of('upload')
      .flatMap(({ changes }) => changes.map((one) => one.version));
    expect(versions).toEqual(Array.from({ length: 30 }, (_, place) => place + 1));
  });
});

describe('changes', () => {
  it('are seen at once and sent when there is a line', async () => {
    const client = stage.client(new MemoryStorage());
    await client.make(PATH, POST);
    expect((await client.view('tea')).messages).toMatchObject([{ id: 'one', account: 'ana' }]);
    const socket = await stage.synced(client);
    expect(socket.of('upload')).toMatchObject([{ changes: [{ version: 1, op: POST }] }]);
  });

  it('are sent by the next process when this one dies', async () => {
    const storage = new MemoryStorage();
    await stage.client(storage).make(PATH, POST);
    const socket = await stage.synced(stage.client(storage));
    expect(socket.of('upload')).toMatchObject([{ changes: [{ version: 1, op: POST }] }]);
  });

  it('that cannot be kept are the caller to hear of, and are not sent', async () => {
    const storage = new MemoryStorage();
    const client = stage.client(storage);
    const socket = await stage.synced(client);
    const { apply } = storage;
    storage.apply = async () => {
      throw new Error('the disk is full');
    };
    await expect(client.make(PATH, POST)).rejects.toThrow('the disk is full');
    expect(socket.of('upload')).toEqual([]);
    storage.apply = apply.bind(storage);
    expect((await client.view('tea')).messages).toEqual([]);
    await stage.clock.advance(2000);
    expect(socket.of('bind')).toHaveLength(2);
  });

  it('are known to have arrived by a mark', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    let isDone = false;
    const done = (async () => {
      await client.synced(PATH);
      isDone = true;
    })();
    await settled();
    expect(socket.of('mark')).toEqual([{ type: 'mark', session: 1, request: 1 }]);
    expect(isDone).toBe(false);
    await socket.say({ type: 'mark', session: 1, request: 1 });
    await done;
  });

  it('are not waited for without end', async () => {
    const client = stage.client(new MemoryStorage());
    const waited = expect(client.synced(PATH, 5000)).rejects.toBeInstanceOf(Failure);
    await settled();
    await stage.clock.advance(5000);
    await waited;
  });
});

describe('errors of the server', () => {
  it('sign out where they say so', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await socket.say(error(100, 0, { action: 'LogOutUser' }));
    expect(client.trouble?.code).toBe('token_revoked');
    expect(socket.isClosed).toBe(true);
  });

  it('get another token with another socket', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await socket.say(error(202, 1, { action: 'RefreshUser' }));
    expect(socket.isClosed).toBe(true);
    await stage.clock.advance(2000);
    expect(stage.sockets).toHaveLength(2);
    expect(client.trouble).toBeNull();
  });

  it('stop what may not be followed', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await socket.say(error(228, 1));
    await socket.end(1006);
    await stage.clock.advance(2000);
    await stage.last().hello();
    expect(stage.last().of('bind')).toEqual([]);
  });

  it('follow again what one was let into again', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await socket.say(error(228, 1));
    client.follow(PATH);
    await settled();
    expect(socket.of('bind').map(({ session }) => session)).toEqual([1, 2]);
    client.follow(PATH);
    await settled();
    expect(socket.of('bind')).toHaveLength(2);
  });

  it('bind again later where they say so', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await socket.say(error(201, 1, { tryAgain: true, action: 'Transient' }));
    expect(socket.of('bind')).toHaveLength(1);
    await stage.clock.advance(2000);
    expect(socket.of('bind')).toHaveLength(2);
  });

  it('are in the log that the person can read', async () => {
    const client = stage.client(new MemoryStorage());
    const socket = await stage.synced(client);
    await socket.say(error(206, 1, { message: 'token=verysecret is not enough' }));
    const lines = client.log.read('warning').map(({ text }) => text);
    expect(lines).toEqual(['error 206 e206: token=*** is not enough']);
  });
});
