import { describe, expect, it } from 'vitest';
import { SHORTCUTS, actionOf, twinLabel } from './shortcuts';
import type { KeyPress } from './shortcuts';

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  repeat: false,
  ...more,
});

describe('actionOf', () => {
  it.each([
    ['m', 'microphone'],
    ['V', 'camera'],
    ['d', 'share'],
    ['?', 'settings'],
  ])('letter %s', (key, action) => {
    expect(actionOf(press(key), true, false)).toBe(action);
    expect(actionOf(press(key), true, true)).toBeNull();
    expect(actionOf(press(key), false, false)).toBeNull();
  });

  it.each([
    [press('d', { ctrlKey: true }), 'microphone'],
    [press('d', { metaKey: true }), 'microphone'],
    [press('e', { ctrlKey: true }), 'camera'],
    [press('E', { ctrlKey: true, shiftKey: true }), 'share'],
    [press('L', { ctrlKey: true, shiftKey: true }), 'leave'],
  ])('twins work everywhere, letters switched off or not', (key, action) => {
    expect(actionOf(key, false, true)).toBe(action);
  });

  it('leaves other combinations to the browser', () => {
    expect(actionOf(press('l', { ctrlKey: true }), true, false)).toBeNull();
    expect(actionOf(press('m', { ctrlKey: true }), true, false)).toBeNull();
    expect(actionOf(press('m', { altKey: true }), true, false)).toBeNull();
    expect(actionOf(press('m', { repeat: true }), true, false)).toBeNull();
  });
});

it('every letter has a twin or opens nothing more than a dialog', () => {
  for (const { action, letter, twin } of SHORTCUTS) {
    expect(letter === null || twin !== null || action === 'settings').toBe(true);
  }
});

it('writes twins as the machine does', () => {
  const leave = SHORTCUTS.find(({ action }) => action === 'leave');
  expect(leave && twinLabel(leave, false)).toBe('Ctrl+Shift+L');
  expect(leave && twinLabel(leave, true)).toBe('⌘⇧L');
});
