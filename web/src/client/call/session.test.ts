import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Failure } from '../errors';
import { FakeClock, FakeRoom, OFF, person } from './fakes';
import { CallSession } from './session';
import type { Entry } from './session';

let clock: FakeClock;
let rooms: FakeRoom[];
let prepare: (room: FakeRoom) => void;
let session: CallSession;
let handedOver: ReturnType<typeof vi.fn<() => void>>;
const requestTicket = vi.fn(async () => ({ token: 't', url: 'wss://s', identity: 'guest-1' }));
const tracks = { microphone: null, camera: null };

const state = () => session.store.getState();
const room = () => rooms.at(-1) ?? expect.fail('no room was opened');
const entry = (more: Partial<Entry> = {}): Entry => ({
  room: 'kitchen',
  name: 'Ada',
  ticket: null,
  choices: { audioinput: '', videoinput: '', audiooutput: '' },
  openTracks: async () => tracks,
  handedOver,
  ...more,
});

beforeEach(() => {
  clock = new FakeClock();
  rooms = [];
  prepare = () => undefined;
  handedOver = vi.fn<() => void>();
  requestTicket.mockClear();
  session = new CallSession({
    clock,
    requestTicket,
    openRoom: async (listener) => {
      const opened = new FakeRoom(listener);
      prepare(opened);
      rooms.push(opened);
      return opened;
    },
  });
});

describe('joining', () => {
  it('asks for a ticket, connects, and publishes what the lobby opened', async () => {
    await session.join(entry());
    expect(room().connected).toEqual(['wss://s t']);
    expect(room().published).toEqual([tracks]);
    expect(handedOver).toHaveBeenCalledOnce();
    expect(state()).toMatchObject({ phase: 'connected', room: 'kitchen', failure: null });
  });

  it('an invitation needs no ticket', async () => {
    await session.join(entry({ ticket: { url: 'wss://here', token: 'invited' } }));
    expect(requestTicket).not.toHaveBeenCalled();
    expect(room().connected).toEqual(['wss://here invited']);
  });

  it('back in the lobby with the reason when the server refuses', async () => {
    prepare = (opened) => {
      opened.refusal = new Failure('room_full');
    };
    await session.join(entry());
    expect(state()).toMatchObject({ phase: 'lobby', failure: { code: 'room_full' } });
    expect(handedOver).not.toHaveBeenCalled();
  });

  it('does not connect when the devices are refused', async () => {
    const openTracks = () => Promise.reject(new Failure('device_denied'));
    await session.join(entry({ openTracks }));
    expect(state()).toMatchObject({ phase: 'lobby', failure: { code: 'device_denied' } });
    expect(rooms.flatMap(({ connected }) => connected)).toEqual([]);
  });

  it('is in the call even when publishing fails, and says so there', async () => {
    prepare = (opened) => {
      opened.trouble = new Failure('publish_refused');
    };
    await session.join(entry());
    expect(state()).toMatchObject({ phase: 'connected', notice: { code: 'publish_refused' } });
  });

  it('a second click while joining does nothing', async () => {
    await Promise.all([session.join(entry()), session.join(entry())]);
    expect(rooms).toHaveLength(1);
  });

  it('can be cancelled; what arrives later changes nothing', async () => {
    let resolve = (): void => undefined;
    const gate = new Promise<void>((done) => {
      resolve = done;
    });
    prepare = (opened) => {
      opened.gate = gate;
    };
    const joining = session.join(entry());
    await vi.waitFor(() => expect(room().connected).toHaveLength(1), 30_000);
    await session.leave();
    expect(state().phase).toBe('lobby');
    expect(room().left).toBe(true);
    resolve();
    await joining;
    expect(state()).toMatchObject({ phase: 'lobby', failure: null });
    expect(handedOver).not.toHaveBeenCalled();
  });
});

describe('in a call', () => {
  beforeEach(() => session.join(entry()));

  it('shows who is there, and keeps the object of whoever did not change', () => {
    const ada = person('Ada', { local: true });
    room().listener.changed([ada, person('Ben')], OFF);
    const [, ben] = state().people;
    room().listener.changed([{ ...ada, speaking: true }, person('Ben')], OFF);
    expect(state().people[0]?.speaking).toBe(true);
    expect(state().people[1]).toBe(ben);
  });

  it('a switch is busy until it has taken effect, and pressed once', async () => {
    const first = session.turn('camera', true);
    expect(state().busy.camera).toBe(true);
    await Promise.all([first, session.turn('camera', true)]);
    expect(state().busy.camera).toBe(false);
    expect(room().turned).toEqual([['camera', true]]);
  });

  it('a failing device is a notice, which the next attempt removes', async () => {
    room().trouble = new Failure('device_busy', { device: 'camera' });
    await session.turn('camera', true);
    expect(state()).toMatchObject({ phase: 'connected', notice: { code: 'device_busy' } });
    room().trouble = null;
    await session.turn('camera', true);
    expect(state().notice).toBeNull();
    room().listener.deviceFailed(new Failure('device_missing'));
    session.dismissNotice();
    expect(state().notice).toBeNull();
  });

  it('sound that the browser holds back waits for a click', async () => {
    room().listener.audioBlocked(true);
    expect(state().audioBlocked).toBe(true);
    await session.startAudio();
    expect(state().audioBlocked).toBe(false);
  });

  it('leaving empties the stage, and a late event of that call means nothing', async () => {
    const { listener } = room();
    await session.leave();
    expect(room().left).toBe(true);
    expect(state()).toMatchObject({ phase: 'ended', failure: null, people: [] });
    listener.changed([person('Ghost')], OFF);
    listener.ended(new Failure('removed'));
    expect(state()).toMatchObject({ failure: null, people: [] });
  });

  it('is told why the server ended it, and may rejoin', async () => {
    room().listener.ended(new Failure('removed'));
    expect(state()).toMatchObject({ phase: 'ended', failure: { code: 'removed' } });
    await session.join(entry());
    expect(state()).toMatchObject({ phase: 'connected', failure: null });
  });

  it('stays on the last screen when rejoining fails, and can go home', async () => {
    await session.leave();
    prepare = (opened) => {
      opened.refusal = new Failure('server_unreachable');
    };
    await session.join(entry());
    expect(state()).toMatchObject({ phase: 'ended', failure: { code: 'server_unreachable' } });
    session.home();
    expect(state()).toMatchObject({ phase: 'lobby', failure: null });
  });
});

describe('an interruption', () => {
  beforeEach(async () => {
    await session.join(entry());
    room().listener.interrupted();
  });

  it('shows nothing for two seconds, then a banner, then a dialog', () => {
    clock.pass(1_999);
    expect(state().interruption).toBe('none');
    clock.pass(1);
    expect(state().interruption).toBe('banner');
    clock.pass(8_000);
    expect(state().interruption).toBe('dialog');
  });

  it('says "back" for two seconds when it had been shown', () => {
    clock.pass(3_000);
    room().listener.restored();
    expect(state()).toMatchObject({ phase: 'connected', interruption: 'none', back: true });
    clock.pass(2_000);
    expect(state().back).toBe(false);
  });

  it('says nothing when it was too short to be shown', () => {
    clock.pass(500);
    room().listener.restored();
    expect(state().back).toBe(false);
    expect(clock.waiting).toBe(0);
  });

  it('is counted from its beginning, however often the library says so', () => {
    clock.pass(9_000);
    room().listener.interrupted();
    clock.pass(1_000);
    expect(state().interruption).toBe('dialog');
  });

  it('is given up after thirty seconds', () => {
    clock.pass(30_000);
    expect(state()).toMatchObject({
      phase: 'ended',
      failure: { code: 'connection_lost', seconds: 30 },
    });
    expect(room().left).toBe(true);
    expect(clock.waiting).toBe(0);
  });

  it('can be left at any time', async () => {
    clock.pass(12_000);
    await session.leave();
    expect(state()).toMatchObject({ phase: 'ended', failure: null, interruption: 'none' });
    expect(clock.waiting).toBe(0);
  });
});
