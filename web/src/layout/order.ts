// Which tile stands where. Tiles stay put: an order changes only when somebody comes or goes, or when
// a person who speaks is not on the first page; then one quiet person there changes places. Pure.

export interface Placed {
  readonly id: string;
  readonly local: boolean;
  readonly speaking: boolean;
  readonly spokeAt: number;
  readonly hasCamera: boolean;
  readonly joinedAt: number;
}

export function placeTiles(
  before: readonly string[],
  people: readonly Placed[],
  perPage: number,
): readonly string[] {
  const known = new Map(people.map((person) => [person.id, person]));
  const kept = before.filter((id) => known.has(id));
  const placed = new Set(kept);
  const added = people.filter((person) => !placed.has(person.id)).toSorted(byImportance);
  const order = [...kept, ...added.map((person) => person.id)];
  const local = people.find((person) => person.local);
  // Your own tile comes first when the call begins, and stays wherever it then is.
  if (local !== undefined && !placed.has(local.id)) moveToFront(order, local.id);
  bringForward(order, known, perPage);
  return same(order, before) ? before : order;
}

function bringForward(order: string[], known: ReadonlyMap<string, Placed>, perPage: number): void {
  for (let index = perPage; index < order.length; index += 1) {
    if (known.get(order[index] ?? '')?.speaking !== true) continue;
    const quiet = leastImportant(order.slice(0, perPage), known);
    if (quiet === -1) return;
    const speaker = order[index] ?? '';
    order[index] = order[quiet] ?? '';
    order[quiet] = speaker;
  }
}

function leastImportant(page: readonly string[], known: ReadonlyMap<string, Placed>): number {
  let least = -1;
  for (const [index, id] of page.entries()) {
    const person = known.get(id);
    if (person === undefined || person.local || person.speaking) continue;
    const current = known.get(page[least] ?? '');
    if (current === undefined || byImportance(person, current) > 0) least = index;
  }
  return least;
}

/** Negative when `a` matters more: you, who speaks, who spoke last, who has a picture, who came first. */
function byImportance(a: Placed, b: Placed): number {
  return (
    Number(b.local) - Number(a.local) ||
    Number(b.speaking) - Number(a.speaking) ||
    b.spokeAt - a.spokeAt ||
    Number(b.hasCamera) - Number(a.hasCamera) ||
    a.joinedAt - b.joinedAt
  );
}

function moveToFront(order: string[], id: string): void {
  order.splice(order.indexOf(id), 1);
  order.unshift(id);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, index) => id === b[index]);
}
