// Which page an address is, what secret its fragment carries, and where to go after signing in. Pure.

export type PageName =
  | 'call'
  | 'sign-in'
  | 'provider'
  | 'setup'
  | 'join'
  | 'reset'
  | 'guest'
  | 'confirm-mail'
  | 'settings';

const PAGES: Readonly<Record<string, PageName>> = {
  '/sign-in': 'sign-in',
  '/sign-in/provider': 'provider',
  '/setup': 'setup',
  '/join': 'join',
  '/reset': 'reset',
  '/guest': 'guest',
  '/confirm-mail': 'confirm-mail',
  '/settings': 'settings',
  '/settings/password': 'settings',
};

export function pageOf(url: URL): PageName {
  return PAGES[url.pathname.replace(/(?<=.)\/$/, '')] ?? 'call';
}

/** What stands behind `#` in a link that the server made; browsers send it nowhere. */
export function secretOf(url: URL): string {
  const text = url.hash.replace(/^#/, '');
  return /^[A-Za-z0-9_-]{16,128}$/.test(text) ? text : '';
}

/** Where `?next=` leads, as a whole address of this site; the first page for anything else. */
export function nextOf(url: URL): string {
  const home = `${url.origin}/`;
  const wish = url.searchParams.get('next') ?? '';
  // A path, and not one that browsers read as another host (`//host`, `/\host`).
  if (!/^\/(?![/\\])/.test(wish)) return home;
  try {
    const there = new URL(wish, url.origin);
    return there.origin === url.origin && pageOf(there) !== 'sign-in' ? there.href : home;
  } catch {
    return home;
  }
}

export function signInPath(next: string): string {
  return next === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(next)}`;
}
