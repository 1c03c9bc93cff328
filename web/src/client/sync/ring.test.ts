import { describe, expect, it } from 'vitest';
import { LogRing, redact } from './ring';

describe('the log', () => {
  it('keeps the last lines, by level', () => {
    let now = 1000;
    const log = new LogRing(() => now, 3);
    for (const number of [1, 2, 3, 4, 5, 6, 7, 8]) {
      now += 1000;
      log.write(number % 2 === 0 ? 'warning' : 'debug', `line ${number}`);
    }
    expect(log.read().map(({ text }) => text)).toEqual(['line 6', 'line 7', 'line 8']);
    expect(log.read('info').map(({ at, text }) => [at, text])).toEqual([
      [7, 'line 6'],
      [9, 'line 8'],
    ]);
    log.clear();
    expect(log.read()).toEqual([]);
  });

  it.each([
    ['a bearer', 'Authorization: Bearer abc.def', 'abc.def'],
    ['a ticket', '/sync?ticket=abcdef', 'abcdef'],
    ['a password', '{"password": "hunter2"}', 'hunter2'],
    ['something long and random', 'x 0123456789abcdef0123456789abcdef y', '0123456789abcdef'],
    ['a mail address', 'from ana@example.org', 'ana@example.org'],
    ['what was said', '{"text": "meet me \\"there\\""}', 'meet me'],
    ['a body', '{"body": {"format": "m.plain.v1", "t": "meet me"}}', 'meet me'],
    ['a name', '{"name":"Ana"}', 'Ana'],
  ])('keeps nothing of %s', (_, line, secret) => {
    expect(redact(line)).not.toContain(secret);
    expect(redact(line)).toContain('***');
  });

  it('keeps what helps', () => {
    expect(redact('error 206 permission_denied: Not yours.')).toContain(
      'error 206 permission_denied',
    );
  });

  it('cuts long lines', () => {
    const log = new LogRing(() => 0);
    log.write('info', 'so long '.repeat(1000));
    expect(log.read()[0]?.text).toHaveLength(500);
  });
});
