// Two people see and hear each other, and what each switch does to what the other receives.
import assert from 'node:assert/strict';
import type { Tab } from '../browsers';
import { growth, pause, received, seesAndHears, settles } from '../media';
import type { Flow } from '../media';
import type { Scenarios, World } from '../world';

/** Opens the lobby and joins like a person: name, room, button. */
export async function join(tab: Tab, origin: string, room: string, name: string): Promise<void> {
  await tab.goto(`${origin}/?room=${room}`);
  await tab.fill('name', name);
  await tab.click('Join');
  await tab.inCall();
}

async function pair(world: World, room: string): Promise<[Tab, Tab]> {
  const [ada, ben] = await Promise.all([world.chromium.open(), world.chromium.open()]);
  await join(ada, world.server.origin, room, 'Ada');
  await join(ben, world.server.origin, room, 'Ben');
  await Promise.all([seesAndHears(ada, 30_000), seesAndHears(ben, 30_000)]);
  return [ada, ben];
}

export const scenarios: Scenarios = {
  async 'two Chromium tabs see and hear each other within 5 s'(world: World) {
    const [ada, ben] = await Promise.all([world.chromium.open(), world.chromium.open()]);
    await join(ada, world.server.origin, 'two', 'Ada');
    const start = Date.now();
    await join(ben, world.server.origin, 'two', 'Ben');
    await Promise.all([seesAndHears(ada), seesAndHears(ben)]);
    world.note(`${Date.now() - start} ms from opening the page to seeing and hearing`);
    await ada.sees('Ben');
    await ben.sees('Ada');
    assert.match(await ada.text(), /2 people/);
    assert.match(ben.page.url(), /\/r\/two$/);
    assert.deepEqual([...ada.errors, ...ben.errors], []);
    const { host } = new URL(world.server.origin);
    assert.deepEqual(
      [...ada.hosts, ...ben.hosts],
      [host, host],
      'nothing is asked of anybody else',
    );
  },

  async 'Chromium and Firefox see and hear each other within 5 s'(world: World) {
    const firefox = await world.firefox();
    const [ada, fox] = await Promise.all([world.chromium.open(), firefox.open()]);
    await join(ada, world.server.origin, 'both', 'Ada');
    await fox.goto(`${world.server.origin}/r/both`);
    await fox.fill('name', 'Fox');
    const start = Date.now();
    await fox.click('Join');
    await Promise.all([seesAndHears(ada), seesAndHears(fox)]);
    world.note(`${Date.now() - start} ms from Join to seeing and hearing`);
    await ada.sees('Fox');
    await fox.sees('Ada');
    assert.deepEqual([...ada.errors, ...fox.errors], []);
    await fox.click('Leave');
    await fox.sees('You left the call');
  },

  async 'mute silences, and the other side sees it'(world: World) {
    const [ada, ben] = await pair(world, 'mute');
    await ada.click('Microphone');
    await ada.sees('You are muted');
    await ben.until('the muted mark', isMarkedMuted, 'Ada');
    await settles(ben, 'silence', ({ energy }) => energy < 1e-6);
    assert.equal(await ada.pressed('Microphone'), 'false');
    await ada.page.keyboard.press('m');
    await settles(ben, 'sound again', ({ energy }) => energy > 1e-6);
    assert.equal(await ada.pressed('Microphone'), 'true');
    await ada.page.keyboard.press('Control+d');
    await settles(ben, 'silence again', ({ energy }) => energy < 1e-6);
  },

  async 'holding Space talks while muted, and only while it is held'(world: World) {
    const [ada, ben] = await pair(world, 'hold');
    await ada.page.keyboard.press('m');
    await settles(ben, 'silence', ({ energy }) => energy < 1e-6);
    await ada.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    await ada.page.keyboard.down('Space');
    await settles(ben, 'sound', ({ energy }) => energy > 1e-6);
    assert.equal(await ada.pressed('Microphone'), 'true');
    await ada.page.keyboard.up('Space');
    await settles(ben, 'silence again', ({ energy }) => energy < 1e-6);
    assert.equal(await ada.pressed('Microphone'), 'false');
  },

  async 'camera off takes the picture away, on brings it back'(world: World) {
    const [ada, ben] = await pair(world, 'camera');
    await ada.page.keyboard.press('v');
    await ada.sees('Your camera is off');
    await ben.loses('[data-person=Ada] video');
    await settles(ben, 'no more frames', ({ frames }) => frames === 0);
    await ada.click('Camera');
    await settles(ben, 'frames again', ({ frames }) => frames > 5);
    assert.equal(await ada.pressed('Camera'), 'true');
  },

  async 'a device change goes on without a new track'(world: World) {
    const [ada, ben] = await pair(world, 'device');
    const before = await received(ben);
    await ada.click('Devices');
    await ada.sees('Play a test sound');
    const camera = ada.page.getByLabel('Camera', { exact: true }).locator('visible=true').last();
    const chosen = (await camera.locator('option').last().getAttribute('value')) ?? '';
    await camera.selectOption(chosen);
    await ada.until('the other camera in use', usesCamera, chosen);
    await ada.page.keyboard.press('Escape');
    const goesOn = ({ frames, energy }: Flow): boolean => frames > 5 && energy > 1e-6;
    await settles(ben, 'frames from the other camera, and still sound', goesOn);
    const after = await received(ben);
    assert.equal(after.videos, before.videos, 'no second video track was made');
  },

  async 'a shared screen is shown large, and ends'(world: World) {
    const [ada, ben] = await pair(world, 'share');
    await ada.click('Share');
    await ben.shows('[data-share=Ada] video');
    await ben.sees('Ada is sharing their screen');
    await ada.sees('You are sharing your screen');
    await ada.page.keyboard.press('d');
    await ben.loses('[data-share]');
  },

  async 'Firefox shares its screen, mutes, takes its camera away'(world: World) {
    const firefox = await world.firefox();
    const [ada, fox] = await Promise.all([world.chromium.open(), firefox.open()]);
    await join(ada, world.server.origin, 'fox-share', 'Ada');
    await fox.goto(`${world.server.origin}/r/fox-share`);
    await fox.fill('name', 'Fox');
    await fox.click('Join');
    await seesAndHears(ada, 30_000);
    await fox.click('Share');
    await ada.shows('[data-share=Fox] video');
    await ada.sees('Fox is sharing their screen');
    await fox.sees('You are sharing your screen');
    await fox.click('Stop sharing');
    await ada.loses('[data-share]');
    await fox.click('Microphone');
    await fox.sees('You are muted');
    await ada.until('the muted mark', isMarkedMuted, 'Fox');
    await settles(ada, 'silence', ({ energy }) => energy < 1e-6);
    await fox.click('Camera');
    await fox.sees('Your camera is off');
    await settles(ada, 'no more frames', ({ frames }) => frames === 0);
    await fox.click('Camera');
    await settles(ada, 'frames again', ({ frames }) => frames > 5);
  },

  async 'leaving asks once by key and not by button'(world: World) {
    const [ada, ben] = await pair(world, 'leave');
    await ada.page.keyboard.press('Control+Shift+L');
    await ada.sees('Leave the call?');
    await ada.click('Stay');
    await pause(100);
    assert.ok((await growth(ada)).frames > 0, 'the call went on');
    await ada.click('Leave');
    await ada.sees('You left the call');
    await ben.sees('Only you');
    await ada.click('Rejoin');
    await seesAndHears(ben, 30_000);
    await ben.sees('2 people');
  },

  async 'joining without camera and microphone still sees and hears'(world: World) {
    const [ada, ben] = await Promise.all([world.chromium.open(), world.chromium.open()]);
    await join(ada, world.server.origin, 'bare', 'Ada');
    await ben.goto(`${world.server.origin}/r/bare`);
    await ben.fill('name', 'Ben');
    await ben.click('Join without camera and microphone');
    await ben.inCall();
    await seesAndHears(ben, 30_000);
    assert.equal(await ben.pressed('Microphone'), 'false');
    await ben.click('Microphone');
    await settles(ada, 'Ben is heard', ({ energy }) => energy > 1e-6);
  },
};

function isMarkedMuted(name: string): boolean {
  const tile = document.querySelector(`[data-person=${name}]`);
  return tile?.textContent.includes('Microphone off') === true;
}

function usesCamera(id: string): boolean {
  const videos = [...document.querySelectorAll<HTMLVideoElement>('[data-person=Ada] video')];
  const streams = videos.map((video) => video.srcObject as MediaStream | null);
  return streams.some((stream) => stream?.getVideoTracks()[0]?.getSettings().deviceId === id);
}
