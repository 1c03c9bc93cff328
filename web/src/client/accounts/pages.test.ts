import { describe, expect, it } from 'vitest';
import { nextOf, pageOf, secretOf, signInPath } from './pages';

const at = (path: string): URL => new URL(path, 'https://sotto.example');

describe('pageOf', () => {
  it.each([
    ['/', 'call'],
    ['/r/kitchen', 'call'],
    ['/sign-in?next=%2F', 'sign-in'],
    ['/sign-in/', 'sign-in'],
    ['/sign-in/provider?state=x', 'provider'],
    ['/setup#abc', 'setup'],
    ['/settings/password', 'settings'],
    ['/constructor', 'call'],
  ])('%s is %s', (path, page) => {
    expect(pageOf(at(path))).toBe(page);
  });
});

describe('secretOf', () => {
  it('takes what a link of the server has, and nothing else', () => {
    const secret = 'A1b2_-'.repeat(5);
    expect(secretOf(at(`/join#${secret}`))).toBe(secret);
    expect(secretOf(at('/join'))).toBe('');
    expect(secretOf(at('/join#short'))).toBe('');
    expect(secretOf(at(`/join#${secret}<script>`))).toBe('');
  });
});

describe('nextOf', () => {
  const next = (wish: string): string => nextOf(at(`/sign-in?next=${encodeURIComponent(wish)}`));

  it('goes back to a page of ours, with what it was asked', () => {
    const wish = '/oauth/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2F';
    expect(next(wish)).toBe(`https://sotto.example${wish}`);
    expect(next('/r/kitchen')).toBe('https://sotto.example/r/kitchen');
  });

  it.each([
    '',
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example/',
    '\\\\evil.example',
    '/\t/evil.example',
    'javascript:alert(1)',
    'data:text/html,x',
    ' /r/kitchen',
    'r/kitchen',
    '/sign-in?next=%2Fsign-in',
    '/sign-in/',
  ])('%j leads home', (wish) => {
    expect(next(wish)).toBe('https://sotto.example/');
  });

  it('never leaves the site, whatever browsers make of the path', () => {
    for (const wish of ['/.//evil.example', '/..//evil.example', '/%5cevil.example', '/@evil']) {
      expect(new URL(next(wish)).origin).toBe('https://sotto.example');
    }
  });

  it('is written as the server writes it', () => {
    expect(signInPath('/')).toBe('/sign-in');
    expect(nextOf(at(signInPath('/r/a b?x=1&y=2')))).toBe('https://sotto.example/r/a%20b?x=1&y=2');
  });
});
