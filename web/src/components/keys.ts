// How a shortcut is written for this person's machine and settings.
import { SHORTCUTS, twinLabel } from '../client/shortcuts';
import type { Action } from '../client/shortcuts';

const APPLE = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** Letter and twin of an action; either may be ''. */
export function keysOf(action: Action): { letter: string; twin: string } {
  const shortcut = SHORTCUTS.find((item) => item.action === action);
  if (shortcut === undefined) return { letter: '', twin: '' };
  return { letter: shortcut.letter?.toUpperCase() ?? '', twin: twinLabel(shortcut, APPLE) };
}

export function keyHint(action: Action): string {
  const { letter, twin } = keysOf(action);
  return letter === '' ? twin : letter;
}
