import { beforeEach, describe, expect, it } from 'vitest';
import { Devices } from './devices';
import { FakeMachine } from './fakes';
import { PreferenceStore } from './preferences';
import { Preview } from './preview';

let machine: FakeMachine;
let preferences: PreferenceStore;
let preview: Preview;

function start(secure = true): void {
  const media = machine as unknown as MediaDevices;
  const devices = new Devices(media, machine as unknown as Permissions, secure);
  preview = new Preview(devices, preferences);
}

const state = () => preview.store.getState();

beforeEach(() => {
  machine = new FakeMachine();
  preferences = new PreferenceStore(null);
  Object.assign(globalThis, { RTCPeerConnection: EventTarget });
  start();
});

describe('on arrival', () => {
  it('asks nothing while the browser would show a prompt', async () => {
    await preview.arrive();
    expect(machine.asked).toEqual([]);
    expect(state().status).toBe('idle');
    expect(state().devices.videoinput.map(({ id }) => id)).toEqual(['cam-1', 'cam-2']);
  });

  it('opens at once where both are allowed already', async () => {
    machine.permissions = { camera: 'granted', microphone: 'granted' };
    await preview.arrive();
    expect(state()).toMatchObject({ status: 'open', failures: [] });
    expect(state().camera).not.toBeNull();
  });

  it('leaves the devices alone on an address that browsers do not trust', async () => {
    start(false);
    machine.permissions = { camera: 'granted', microphone: 'granted' };
    await preview.arrive();
    expect(machine.asked).toEqual([]);
    expect(preview.devices.obstacle()?.code).toBe('insecure_page');
  });
});

describe('opening', () => {
  it('asks once for both, with the remembered devices as a wish', async () => {
    preferences.set({ audioinput: 'mic-1', videoinput: 'cam-2' });
    start();
    await Promise.all([preview.start(), preview.start()]);
    expect(machine.asked).toHaveLength(1);
    expect(machine.asked[0]).toMatchObject({
      audio: { deviceId: { ideal: 'mic-1' } },
      video: { deviceId: { ideal: 'cam-2' } },
    });
  });

  it('takes a plain no for an answer', async () => {
    machine.refuse = { camera: 'NotAllowedError', microphone: 'NotAllowedError' };
    await preview.start();
    expect(machine.asked).toHaveLength(1);
    expect(state().failures).toMatchObject([{ code: 'device_denied', device: 'both' }]);
    await expect(preview.lend()).rejects.toMatchObject({ code: 'device_denied' });
  });

  it('still opens the microphone when only the camera is blocked', async () => {
    machine.refuse = { camera: 'NotAllowedError' };
    machine.permissions = { camera: 'denied', microphone: 'granted' };
    await preview.start();
    expect(state().microphone).not.toBeNull();
    expect(state().failures).toMatchObject([{ code: 'device_denied', device: 'camera' }]);
  });

  it('opens what is there when the other is missing or busy', async () => {
    machine.refuse = { camera: 'NotReadableError' };
    await preview.start();
    expect(state().microphone).not.toBeNull();
    expect(state().failures).toMatchObject([{ code: 'device_busy', device: 'camera' }]);
  });

  it('says it once when both are missing', async () => {
    machine.refuse = { camera: 'NotFoundError', microphone: 'NotFoundError' };
    await preview.start();
    expect(state().failures).toMatchObject([{ code: 'device_missing', device: 'both' }]);
  });
});

describe('switches and choices', () => {
  it('switching off gives the device back and is remembered', async () => {
    await preview.start();
    const camera = machine.opened.find(({ kind }) => kind === 'video');
    await preview.toggle('camera');
    expect(camera?.readyState).toBe('ended');
    expect(preferences.get().camera).toBe(false);
    await preview.toggle('camera');
    expect(state().camera).not.toBeNull();
  });

  it('pressing the switch of a device that failed tries again', async () => {
    machine.refuse = { camera: 'NotReadableError' };
    await preview.start();
    machine.refuse = {};
    await preview.toggle('camera');
    expect(state()).toMatchObject({ failures: [], wanted: { camera: true } });
    expect(state().camera).not.toBeNull();
  });

  it('a switch turned off while the browser asks leaves nothing open', async () => {
    const opening = preview.start();
    await preview.toggle('camera');
    await opening;
    expect(state().camera).toBeNull();
    expect(machine.opened.find(({ kind }) => kind === 'video')?.readyState).toBe('ended');
  });

  it('another camera replaces the one in use; a speaker opens nothing', async () => {
    await preview.start();
    await preview.choose('videoinput', 'cam-2');
    expect(machine.asked.at(-1)).toMatchObject({ video: { deviceId: { ideal: 'cam-2' } } });
    const asked = machine.asked.length;
    await preview.choose('audiooutput', 'speaker-1');
    expect(machine.asked).toHaveLength(asked);
    expect(state().chosen.audiooutput).toBe('speaker-1');
  });

  it('notices when a device is unplugged', async () => {
    await preview.start();
    machine.opened.find(({ kind }) => kind === 'video')?.unplug();
    expect(state().camera).toBeNull();
  });
});

describe('for a call', () => {
  it('lends the tracks, and lets go without stopping them', async () => {
    const tracks = await preview.lend();
    expect(tracks.camera).toBe(state().camera);
    preview.release();
    expect(state()).toMatchObject({ camera: null, microphone: null, status: 'idle' });
    expect(machine.opened.map(({ readyState }) => readyState)).toEqual(['live', 'live']);
  });

  it('opens nothing when nothing is wanted', async () => {
    await preview.toggle('camera');
    await preview.toggle('microphone');
    await expect(preview.lend()).resolves.toEqual({ camera: null, microphone: null });
    expect(machine.asked).toEqual([]);
  });

  it('gives the devices back when stopped', async () => {
    await preview.start();
    preview.stop();
    expect(machine.opened.map(({ readyState }) => readyState)).toEqual(['ended', 'ended']);
  });
});
