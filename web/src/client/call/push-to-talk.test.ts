import { describe, expect, it } from 'vitest';
import { PushToTalk } from './push-to-talk';

function microphone({ on = false, refuses = false } = {}) {
  const turns: boolean[] = [];
  const state = { on };
  const talk = new PushToTalk(
    () => state.on,
    async (wanted) => {
      turns.push(wanted);
      await Promise.resolve();
      if (!refuses) state.on = wanted;
    },
  );
  return { talk, turns, state, settled: () => new Promise((done) => setTimeout(done, 0)) };
}

describe('PushToTalk', () => {
  it('is on while held', async () => {
    const { talk, turns, settled } = microphone();
    talk.press();
    await settled();
    expect(turns).toEqual([true]);
    talk.release();
    await settled();
    expect(turns).toEqual([true, false]);
  });

  it('ends muted however short the press', async () => {
    const { talk, turns, state, settled } = microphone();
    talk.press();
    talk.release();
    await settled();
    expect(turns).toEqual([true, false]);
    expect(state.on).toBe(false);
  });

  it('goes on talking when pressed again at once', async () => {
    const { talk, state, settled } = microphone();
    talk.press();
    talk.release();
    talk.press();
    await settled();
    expect(state.on).toBe(true);
    talk.release();
    await settled();
    expect(state.on).toBe(false);
  });

  it('leaves who is not muted alone', async () => {
    const { talk, turns, settled } = microphone({ on: true });
    talk.press();
    talk.release();
    await settled();
    expect(turns).toEqual([]);
  });

  it('does not ask again and again for a microphone that is refused', async () => {
    const { talk, turns, settled } = microphone({ refuses: true });
    talk.press();
    await settled();
    expect(turns).toEqual([true]);
    talk.release();
    await settled();
    expect(turns).toEqual([true]);
  });
});
