// Two people see and hear each other, and what each switch does to what the other receives.
import assert from 'node:assert/strict';
import { growth, pause, received, seesAndHears, settles } from '../media.mjs';

/** Opens the lobby and joins like a person: name, room, button. */
export async function join(tab, origin, room, name) {
  await tab.goto(`${origin}/?room=${room}`);
  await tab.fill('name', name);
  await tab.click('Join');
  await tab.sees('Leave', 15_000);
}

export async function pair(world, room) {
  const [ada, ben] = await Promise.all([world.chromium.open(), world.chromium.open()]);
  await join(ada, world.server.origin, room, 'Ada');
  await join(ben, world.server.origin, room, 'Ben');
  await Promise.all([seesAndHears(ada, 8_000), seesAndHears(ben, 8_000)]);
  return [ada, ben];
}

export const scenarios = {
  async 'two Chromium tabs see and hear each other within 5 s'(world) {
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
  },

  async 'Chromium and Firefox see and hear each other within 5 s'(world) {
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

  async 'mute silences, and the other side sees it'(world) {
    const [ada, ben] = await pair(world, 'mute');
    await ada.click('Microphone');
    await ben.until('the muted mark', () =>
      document.querySelector('[data-person=Ada]').innerText.includes('Microphone off'),
    );
    await settles(ben, 'silence', ({ energy }) => energy < 1e-6);
    assert.equal(await ada.pressed('Microphone'), 'false');
    await ada.page.keyboard.press('m');
    await settles(ben, 'sound again', ({ energy }) => energy > 1e-6);
    assert.equal(await ada.pressed('Microphone'), 'true');
    await ada.page.keyboard.press('Control+d');
    await settles(ben, 'silence again', ({ energy }) => energy < 1e-6);
  },

  async 'camera off takes the picture away, on brings it back'(world) {
    const [ada, ben] = await pair(world, 'camera');
    await ada.page.keyboard.press('v');
    await ben.until('initials in place of the picture', () =>
      document.querySelector('[data-person=Ada] video') === null,
    );
    await settles(ben, 'no more frames', ({ frames }) => frames === 0);
    await ada.click('Camera');
    await settles(ben, 'frames again', ({ frames }) => frames > 5);
    assert.equal(await ada.pressed('Camera'), 'true');
  },

  async 'a device change goes on without a new track'(world) {
    const [ada, ben] = await pair(world, 'device');
    const before = await received(ben);
    await ada.click('Devices');
    await ada.sees('Play a test sound');
    const chosen = await ada.evaluate(() => {
      const select = [...document.querySelectorAll('dialog select')][1];
      const other = [...select.options].find((option) => option.value !== select.value);
      return other.value;
    });
    const [, camera] = await ada.page.$$('dialog select');
    await camera.selectOption(chosen);
    await ada.until('the other camera in use', (id) => {
      const videos = [...document.querySelectorAll('[data-person=Ada] video')];
      return videos.some((one) => one.srcObject?.getVideoTracks()[0]?.getSettings().deviceId === id);
    }, chosen);
    await ada.page.keyboard.press('Escape');
    const flow = await settles(ben, 'frames from the other camera', ({ frames }) => frames > 5);
    assert.ok(flow.energy >= 0);
    const after = await received(ben);
    assert.equal(after.videos, before.videos, 'no second video track was made');
  },

  async 'a shared screen is shown large, and ends'(world) {
    const [ada, ben] = await pair(world, 'share');
    await ada.click('Share');
    await ben.until('the shared screen', () => {
      const video = document.querySelector('[data-share=Ada] video');
      return video !== null && video.videoWidth > 0;
    });
    await ben.sees('Ada is sharing their screen');
    await ada.sees('You are sharing your screen');
    const width = await ben.evaluate(() => document.querySelector('[data-share=Ada] video').videoWidth);
    world.note(`shared screen ${width} px wide`);
    await ada.page.keyboard.press('d');
    await ben.until('the grid again', () => document.querySelector('[data-share]') === null);
  },

  async 'Firefox shares its screen'(world) {
    const firefox = await world.firefox();
    const [ada, fox] = await Promise.all([world.chromium.open(), firefox.open()]);
    await join(ada, world.server.origin, 'fox-share', 'Ada');
    await fox.goto(`${world.server.origin}/r/fox-share`);
    await fox.fill('name', 'Fox');
    await fox.click('Join');
    await seesAndHears(ada, 8_000);
    await fox.click('Share');
    await ada.until('the shared screen', () => {
      const video = document.querySelector('[data-share=Fox] video');
      return video !== null && video.videoWidth > 0;
    });
    await fox.click('Stop sharing');
    await ada.until('the grid again', () => document.querySelector('[data-share]') === null);
    await fox.click('Microphone');
    await settles(ada, 'silence', ({ energy }) => energy < 1e-6);
    await fox.click('Camera');
    await settles(ada, 'no more frames', ({ frames }) => frames === 0);
    await fox.click('Camera');
    await settles(ada, 'frames again', ({ frames }) => frames > 5);
  },

  async 'leaving asks once by key and not by button'(world) {
    const [ada, ben] = await pair(world, 'leave');
    await ada.page.keyboard.press('Control+Shift+L');
    await ada.sees('Leave the call?');
    await ada.click('Stay');
    await pause(100);
    assert.ok((await growth(ada)).frames > 0, 'the call went on');
    await ada.click('Leave');
    await ada.sees('You left the call');
    await ben.until('Ben is alone', () => document.body.innerText.includes('Only you'));
    await ada.click('Rejoin');
    await seesAndHears(ben, 8_000);
    await ben.sees('2 people');
  },

  async 'joining without camera and microphone still sees and hears'(world) {
    const [ada, ben] = await Promise.all([world.chromium.open(), world.chromium.open()]);
    await join(ada, world.server.origin, 'bare', 'Ada');
    await ben.goto(`${world.server.origin}/r/bare`);
    await ben.fill('name', 'Ben');
    await ben.click('Join without camera and microphone');
    await ben.sees('Devices', 15_000);
    await seesAndHears(ben, 8_000);
    assert.equal(await ben.pressed('Microphone'), 'false');
    await ben.click('Microphone');
    await settles(ada, 'Ben is heard', ({ energy }) => energy > 1e-6);
  },
};
