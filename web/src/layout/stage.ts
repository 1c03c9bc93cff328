// Which arrangement a call gets: a grid, or one shared screen large beside a strip of people. Pure.
import type { Size } from './grid';

export interface Sharer {
  readonly id: string;
  readonly local: boolean;
  readonly sharing: boolean;
}

export type Stage =
  | { readonly kind: 'grid' }
  | { readonly kind: 'share'; readonly sharer: string; readonly strip: 'side' | 'below' };

/** Below this width, or when the stage is taller than wide, a strip at the side would squeeze the share. */
const SIDE_STRIP_FROM = 900;

/** Somebody else's screen wins over your own; whoever was shown stays shown. */
export function chooseStage(people: readonly Sharer[], shown: string | null, space: Size): Stage {
  const sharing = people.filter((person) => person.sharing);
  const remote = sharing.filter((person) => !person.local);
  const candidates = remote.length > 0 ? remote : sharing;
  const sharer = candidates.find((person) => person.id === shown) ?? candidates[0];
  if (sharer === undefined) return { kind: 'grid' };
  const side = space.width >= SIDE_STRIP_FROM && space.width > space.height;
  return { kind: 'share', sharer: sharer.id, strip: side ? 'side' : 'below' };
}
