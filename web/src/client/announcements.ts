// What a screen reader hears about other people: who came, who went, who shares. Pure: two lists in,
// messages out. More than three at once become a number.
import type { Message } from '../i18n';
import { isolate } from '../i18n';
import type { Switches } from './call/media-room';
import type { Person } from './call/people';

const NAMED_AT_MOST = 3;

export function announcePeople(
  before: readonly Person[],
  after: readonly Person[],
): readonly Message[] {
  const old = new Map(before.map((person) => [person.id, person]));
  const now = new Map(after.map((person) => [person.id, person]));
  return [
    ...crowd(others(after, old), 'say.joined', 'say.joined.many'),
    ...crowd(others(before, now), 'say.left', 'say.left.many'),
    ...after.flatMap((person) => sharing(old.get(person.id), person)),
  ];
}

export function announceSwitches(before: Switches, after: Switches): readonly Message[] {
  const said: Message[] = [];
  const say = (source: keyof Switches, on: Message['key'], off: Message['key']) => {
    if (before[source] !== after[source]) said.push({ key: after[source] ? on : off });
  };
  say('microphone', 'say.microphone.on', 'say.microphone.off');
  say('camera', 'say.camera.on', 'say.camera.off');
  say('screen', 'say.share.on', 'say.share.off');
  return said;
}

function others(people: readonly Person[], unless: ReadonlyMap<string, Person>): readonly Person[] {
  return people.filter((person) => !person.local && !unless.has(person.id));
}

function crowd(
  people: readonly Person[],
  one: 'say.joined' | 'say.left',
  many: 'say.joined.many' | 'say.left.many',
): readonly Message[] {
  if (people.length > NAMED_AT_MOST) return [{ key: many, values: { count: people.length } }];
  return people.map((person) => ({ key: one, values: { name: isolate(person.name) } }));
}

function sharing(before: Person | undefined, after: Person): readonly Message[] {
  const was = before !== undefined && before.screen !== null;
  const is = after.screen !== null;
  if (after.local || was === is) return [];
  const key = is ? 'say.sharing' : 'say.sharing.over';
  return [{ key, values: { name: isolate(after.name) } }];
}
