// Who is in the call, as the screens see it. Plain facts and pure functions; the library's objects
// appear only as `Picture`, something that can be put into a <video> element.

export interface Picture {
  attach(element: HTMLMediaElement): unknown;
  detach(element: HTMLMediaElement): unknown;
}

type Microphone = 'on' | 'muted';
export type Quality = 'good' | 'poor' | 'lost';

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly local: boolean;
  /** Milliseconds since the epoch. */
  readonly joinedAt: number;
  readonly microphone: Microphone;
  readonly camera: Picture | null;
  /** Published and wanted, but no picture has arrived yet. */
  readonly waiting: boolean;
  /** The server sends no picture because the bandwidth does not allow it. */
  readonly paused: boolean;
  readonly screen: Picture | null;
  readonly speaking: boolean;
  /** Milliseconds since the epoch; 0 = never. */
  readonly spokeAt: number;
  readonly quality: Quality;
}

/** Keeps the old object for everybody who did not change, so that only changed tiles render. */
export function reconcile(before: readonly Person[], after: readonly Person[]): readonly Person[] {
  const old = new Map(before.map((person) => [person.id, person]));
  const merged = after.map((person) => {
    const known = old.get(person.id);
    return known !== undefined && same(known, person) ? known : person;
  });
  const unchanged =
    merged.length === before.length && merged.every((person, index) => person === before[index]);
  return unchanged ? before : merged;
}

function same(a: Person, b: Person): boolean {
  const keys = Object.keys(a) as (keyof Person)[];
  return keys.every((key) => a[key] === b[key]);
}
