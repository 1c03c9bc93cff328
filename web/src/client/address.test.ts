import { describe, expect, it } from 'vitest';
import { readAddress, roomPath, tidy } from './address';

const read = (path: string) => readAddress(new URL(path, 'https://sotto.example'));

function tokenOf(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256' })}.${part(claims)}.signature`;
}

describe('readAddress', () => {
  it('reads room and name from the query', () => {
    expect(read('/?room=kitchen&name=Ada')).toEqual({ room: 'kitchen', name: 'Ada', token: null });
  });

  it('prefers the room in the path, decoded', () => {
    expect(read('/r/caf%C3%A9%20noir?room=other').room).toBe('café noir');
    expect(read('/r/kitchen/').room).toBe('kitchen');
  });

  it('survives a path that cannot be decoded', () => {
    expect(read('/r/%E0%A4%A').room).toBe('%E0%A4%A');
  });

  it('shows what an invitation says, whatever the alphabet', () => {
    const token = tokenOf({ sub: 'id-1', name: 'Дина', video: { room: 'кухня' } });
    expect(read(`/#token=${token}`)).toEqual({ room: 'кухня', name: 'Дина', token });
  });

  it('falls back on the identity, and keeps a token that it cannot read', () => {
    expect(read(`/#token=${tokenOf({ sub: 'ada' })}`).name).toBe('ada');
    expect(read('/r/kitchen#token=broken')).toEqual({ room: 'kitchen', name: '', token: 'broken' });
    expect(read(`/#token=${tokenOf({ name: 7, video: 'no' })}`).name).toBe('');
  });

  it('takes an empty token for none', () => {
    expect(read('/#token=').token).toBeNull();
  });

  it('bounds what a link can put into the fields', () => {
    expect(read(`/?room=${'r'.repeat(500)}&name=${'n'.repeat(500)}`)).toMatchObject({
      room: 'r'.repeat(128),
      name: 'n'.repeat(64),
    });
  });
});

describe('tidy', () => {
  it('makes names that look equal equal', () => {
    expect(tidy('  Ada \t\n Lovelace ')).toBe('Ada Lovelace');
    expect(tidy('e\u0301')).toBe('é');
    expect(tidy('a\u0000b')).toBe('a b');
  });
});

it('roomPath survives its own reading', () => {
  for (const room of ['kitchen', 'a/b?c#d', 'café noir', '100%']) {
    expect(read(roomPath(room)).room).toBe(room);
  }
});
