// What a person chose on this device, kept between visits: name, switches, devices. No secrets.
// Broken or foreign content counts as nothing chosen; a full or forbidden storage is no error.
import * as v from 'valibot';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const Preferences = v.object({
  name: v.fallback(v.string(), ''),
  microphone: v.fallback(v.boolean(), true),
  camera: v.fallback(v.boolean(), true),
  letters: v.fallback(v.boolean(), true),
  theme: v.fallback(v.picklist(THEMES), 'system'),
  audioinput: v.fallback(v.string(), ''),
  videoinput: v.fallback(v.string(), ''),
  audiooutput: v.fallback(v.string(), ''),
});
export type Preferences = v.InferOutput<typeof Preferences>;

const KEY = 'sotto.preferences';

export class PreferenceStore {
  private current: Preferences;

  constructor(private readonly storage: Pick<Storage, 'getItem' | 'setItem'> | null) {
    this.current = v.parse(Preferences, this.read());
  }

  get(): Preferences {
    return this.current;
  }

  set(change: Partial<Preferences>): void {
    this.current = { ...this.current, ...change };
    try {
      this.storage?.setItem(KEY, JSON.stringify(this.current));
    } catch {
      // Private windows may forbid storage: the choice then lasts as long as the page.
    }
  }

  private read(): object {
    try {
      const value: unknown = JSON.parse(this.storage?.getItem(KEY) ?? '{}');
      return typeof value === 'object' && value !== null ? value : {};
    } catch {
      return {};
    }
  }
}
