import { describe, expect, it } from 'vitest';
import { t } from '../i18n';
import type { Message } from '../i18n';
import { announcePeople, announceSwitches } from './announcements';
import { OFF, person } from './call/fakes';

const ada = person('Ada', { local: true });
const picture = { attach: () => undefined, detach: () => undefined };
const said = (messages: readonly Message[]) =>
  messages.map(({ key, values }) => t(key, values).replaceAll(/[\u2068\u2069]/g, ''));

describe('announcePeople', () => {
  it('names who came and went, never you', () => {
    expect(said(announcePeople([], [ada, person('Ben')]))).toEqual(['Ben joined']);
    expect(said(announcePeople([ada, person('Ben')], [ada, person('Cy')]))).toEqual([
      'Cy joined',
      'Ben left',
    ]);
  });

  it('counts from four on', () => {
    const crowd = ['A', 'B', 'C', 'D'].map((name) => person(name));
    expect(said(announcePeople([ada], [ada, ...crowd]))).toEqual(['4 people joined']);
    expect(said(announcePeople([ada, ...crowd], [ada]))).toEqual(['4 people left']);
    expect(said(announcePeople([ada], [ada, ...crowd.slice(1)]))).toHaveLength(3);
  });

  it('says who shares and who stops', () => {
    const sharing = person('Ben', { screen: picture });
    expect(said(announcePeople([person('Ben')], [sharing]))).toEqual([
      'Ben is sharing their screen',
    ]);
    expect(said(announcePeople([sharing], [person('Ben')]))).toEqual(['Ben stopped sharing']);
    expect(said(announcePeople([sharing], [sharing]))).toEqual([]);
  });
});

it('announceSwitches says your own state when it changes', () => {
  expect(said(announceSwitches(OFF, { ...OFF, microphone: true }))).toEqual([
    'Your microphone is on',
  ]);
  expect(said(announceSwitches({ ...OFF, microphone: true }, OFF))).toEqual(['You are muted']);
  expect(said(announceSwitches(OFF, { microphone: false, camera: true, screen: true }))).toEqual([
    'Your camera is on',
    'You are sharing your screen',
  ]);
  expect(announceSwitches(OFF, OFF)).toEqual([]);
});
