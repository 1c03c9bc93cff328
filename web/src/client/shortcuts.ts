// Which key does what in a call. Letters act only outside text fields and can be switched off
// (WCAG 2.1.4); each has a twin with modifiers that always works. Pure: a key event in, an action out.

export type Action = 'microphone' | 'camera' | 'share' | 'leave' | 'settings';

interface Shortcut {
  readonly action: Action;
  readonly letter: string | null;
  readonly twin: string | null;
  readonly shift: boolean;
}

export const SHORTCUTS: readonly Shortcut[] = [
  { action: 'microphone', letter: 'm', twin: 'd', shift: false },
  { action: 'camera', letter: 'v', twin: 'e', shift: false },
  { action: 'share', letter: 'd', twin: 'e', shift: true },
  { action: 'settings', letter: '?', twin: null, shift: false },
  { action: 'leave', letter: null, twin: 'l', shift: true },
];

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
  readonly repeat: boolean;
}

export function actionOf(press: KeyPress, letters: boolean, inText: boolean): Action | null {
  if (press.repeat || press.altKey) return null;
  const key = press.key.toLowerCase();
  if (press.ctrlKey || press.metaKey) {
    return (
      SHORTCUTS.find((item) => item.twin === key && item.shift === press.shiftKey)?.action ?? null
    );
  }
  if (!letters || inText) return null;
  return SHORTCUTS.find((item) => item.letter === key)?.action ?? null;
}

/** How the twin is written on this machine: ⌘ on Apple's, Ctrl elsewhere. */
export function twinLabel(shortcut: Shortcut, apple: boolean): string {
  if (shortcut.twin === null) return '';
  const keys = [apple ? '⌘' : 'Ctrl', ...(shortcut.shift ? [apple ? '⇧' : 'Shift'] : [])];
  return [...keys, shortcut.twin.toUpperCase()].join(apple ? '' : '+');
}
