// What goes wrong, and the sentence that each person then reads.
import assert from 'node:assert/strict';
import { launchChromium, launchFirefox } from '../browsers';
import type { Tab } from '../browsers';
import { seesAndHears } from '../media';
import type { Scenarios, World } from '../world';
import { join } from './talk';

export const scenarios: Scenarios = {
  async 'devices denied in Chromium: the sentence, and the way without'(world: World) {
    const browser = await launchChromium({ deny: true });
    try {
      await denied(world, await browser.open());
    } finally {
      await browser.close();
    }
  },

  async 'devices denied in Firefox: the sentence, and the way without'(world: World) {
    const browser = await launchFirefox({ deny: true });
    try {
      await denied(world, await browser.open());
    } finally {
      await browser.close();
    }
  },

  async 'a wrong token is refused in words in Chromium'(world: World) {
    await forged(world, await world.chromium.open());
  },

  async 'Firefox: a wrong token, then the server gone before joining'(world: World) {
    const firefox = await world.firefox();
    await forged(world, await firefox.open());
    await goneBefore(world, await firefox.open());
  },

  async 'an expired token is refused in words'(world: World) {
    const tab = await world.chromium.open();
    const old = world.server.token('eve', 'secret', { seconds: -3_600 });
    await tab.goto(`${world.server.origin}/#token=${old}`);
    await tab.click('Join without camera and microphone');
    await tab.until('a sentence about the invitation', () =>
      /This invitation (has expired|is not valid)/.test(document.body.innerText),
    );
  },

  async 'the server is gone before joining in Chromium'(world: World) {
    await goneBefore(world, await world.chromium.open());
  },

  async 'the server leaves Chromium and Firefox alone: banner, dialog, the last word, rejoin'(
    world: World,
  ) {
    const firefox = await world.firefox();
    const [ada, fox] = await Promise.all([world.chromium.open(), firefox.open()]);
    await join(ada, world.server.origin, 'vanish', 'Ada');
    await join(fox, world.server.origin, 'vanish', 'Fox');
    await Promise.all([seesAndHears(ada, 30_000), seesAndHears(fox, 30_000)]);
    world.server.gone();
    try {
      await Promise.all([leftAlone(world, ada, 'Chromium'), leftAlone(world, fox, 'Firefox')]);
    } finally {
      await world.server.back();
    }
    for (const tab of [ada, fox]) {
      await tab.click('Rejoin');
      await tab.inCall();
    }
    await Promise.all([seesAndHears(ada, 30_000), seesAndHears(fox, 30_000)]);
  },

  async 'the same invitation twice: the first tab is told'(world: World) {
    const token = world.server.token('ada', 'twice');
    const [first, second] = await Promise.all([world.chromium.open(), world.chromium.open()]);
    for (const tab of [first, second]) {
      await tab.goto(`${world.server.origin}/#token=${token}`);
      await tab.click('Join without camera and microphone');
      await tab.inCall();
    }
    await first.sees('You joined from somewhere else');
  },

  async 'somebody removed is told so'(world: World) {
    const tab = await world.chromium.open();
    await tab.goto(`${world.server.origin}/#token=${world.server.token('ada', 'removed')}`);
    await tab.click('Join without camera and microphone');
    await tab.inCall();
    await world.server.admin('RemoveParticipant', { room: 'removed', identity: 'ada' });
    await tab.sees('You were removed from the call');
  },

  async 'a call that is closed for all says so'(world: World) {
    const tab = await world.chromium.open();
    await join(tab, world.server.origin, 'closed', 'Ada');
    await world.server.admin('DeleteRoom', { room: 'closed' });
    await tab.sees('The call has ended');
  },

  async 'a full call says so'(world: World) {
    await world.server.admin('CreateRoom', { name: 'full', max_participants: 1 });
    const [first, second] = await Promise.all([world.chromium.open(), world.chromium.open()]);
    await join(first, world.server.origin, 'full', 'Ada');
    await second.goto(`${world.server.origin}/r/full`);
    await second.fill('name', 'Ben');
    await second.click('Join without camera and microphone');
    await second.sees('This call is full', 20_000);
  },
};

async function denied(world: World, tab: Tab): Promise<void> {
  await tab.goto(`${world.server.origin}/r/denied`);
  await tab.fill('name', 'Ada');
  await tab.click('Join');
  await tab.sees('Camera and microphone are blocked');
  await tab.click('Join without camera and microphone');
  await tab.inCall();
  await tab.click('Microphone');
  await tab.sees('The microphone is blocked');
  const other = await world.chromium.open();
  await join(other, world.server.origin, 'denied', 'Ben');
  await seesAndHears(tab, 30_000);
}

async function forged(world: World, tab: Tab): Promise<void> {
  const token = world.server.token('eve', 'secret', { secret: 'not-the-secret' });
  await tab.goto(`${world.server.origin}/#token=${token}`);
  await tab.click('Join without camera and microphone');
  await tab.sees('This invitation is not valid');
  assert.doesNotMatch(await tab.text(), /undefined|\[object/);
}

async function goneBefore(world: World, tab: Tab): Promise<void> {
  await tab.goto(`${world.server.origin}/r/gone`);
  await tab.fill('name', 'Ada');
  world.server.gone();
  try {
    await tab.click('Join');
    await tab.sees('The server does not answer', 20_000);
  } finally {
    await world.server.back();
  }
  await tab.click('Try again');
  await tab.inCall();
}

/** In a call whose server has just gone, until the page gives up. */
async function leftAlone(world: World, tab: Tab, browser: string): Promise<void> {
  const start = Date.now();
  await tab.sees('Reconnecting…', 10_000);
  world.note(`${browser}: banner after ${Date.now() - start} ms`);
  await tab.sees('Trying to reach the call again', 15_000);
  await reachableByKeyboard(tab);
  await tab.sees('The connection was lost', 40_000);
  world.note(`${browser}: given up after ${Date.now() - start} ms`);
}

/** While the connection is lost, Tab goes from the header to the toolbar, and Leave can be reached. */
async function reachableByKeyboard(tab: Tab): Promise<void> {
  const stops = await tab.evaluate(() => {
    const all = [
      ...document.querySelectorAll<HTMLElement>('button, [tabindex="0"], input, select'),
    ];
    const usable = all.filter((one) => one.tabIndex === 0 && one.closest('[inert]') === null);
    return usable.map((one) => one.closest('header, main, [role=toolbar]')?.nodeName ?? '');
  });
  assert.deepEqual([...new Set(stops)], ['HEADER', 'DIV'], `tab stops: ${stops}`);
}
