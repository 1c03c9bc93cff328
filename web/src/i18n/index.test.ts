import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isolate, t } from '.';
import type { MessageKey } from '.';
import en from './en.json';

const KEYS = Object.keys(en) as MessageKey[];
const VALUES = {
  action: 'Mute',
  code: 'x',
  count: 3,
  created: 'May 5, 2026',
  device: 'camera',
  key: 'M',
  kind: 'audioinput',
  letter: 'M',
  login: 'ada.lovelace',
  mail: 'ada@sotto.example',
  max: 64,
  min: 15,
  name: 'Ada',
  network: '192.0.2.0/24',
  number: 2,
  page: 1,
  pages: 2,
  roles: 'member',
  room: 'kitchen',
  seconds: 7,
  seen: 'May 5, 2026',
  synced: 'yes',
  twin: 'Ctrl+D',
  used: 'May 6, 2026',
};

describe('en.json', () => {
  it.each(KEYS)('%s can be said', (key) => {
    const text = t(key, VALUES);
    expect(text.trim()).not.toBe('');
    expect(text).not.toMatch(/[{}]|undefined/);
  });

  it('has no text that nothing says', () => {
    const source = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.test.ts'))
      .map((name) => readFileSync(`src/${name}`, 'utf8'))
      .join('\n');
    const unused = KEYS.filter((key) => !key.startsWith('error.') && !source.includes(`'${key}'`));
    expect(unused).toEqual([]);
  });
});

it('counts in words', () => {
  expect(t('call.people.count', { count: 1 })).toBe('Only you');
  expect(t('call.people.count', { count: 2 })).toBe('2 people');
  expect(t('error.rate_limited.body', { seconds: 0, device: 'both' })).toContain('a moment');
});

it('isolates names of another direction', () => {
  expect(isolate('دينا')).toBe('\u2068دينا\u2069');
});
