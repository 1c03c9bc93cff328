// What the page's address says: `/?room=x&name=y`, `/r/<room>`, and a call token in the fragment
// (`#token=...`), which browsers never send to a server. Pure; main.tsx passes the location.

export interface Invitation {
  readonly room: string;
  readonly name: string;
  readonly token: string | null;
}

export const MAX_NAME = 64;
export const MAX_ROOM = 128;

export function readAddress(url: URL): Invitation {
  const path = /^\/r\/([^/]+)\/?$/.exec(url.pathname);
  const fragment = new URLSearchParams(url.hash.replace(/^#/, ''));
  const token = fragment.get('token');
  const room = path?.[1] === undefined ? url.searchParams.get('room') : decode(path[1]);
  const fromToken = token === null ? null : readToken(token);
  return {
    room: tidy(fromToken?.room ?? room ?? '').slice(0, MAX_ROOM),
    name: tidy(fromToken?.name ?? url.searchParams.get('name') ?? '').slice(0, MAX_NAME),
    token: token === null || token === '' ? null : token,
  };
}

export function roomPath(room: string): string {
  return `/r/${encodeURIComponent(room)}`;
}

/** Collapses white space and drops control characters, so that equal looking names are equal. */
export function tidy(typed: string): string {
  return typed
    .normalize('NFC')
    .replace(/\p{Cc}/gu, ' ')
    .replace(/\s+/gu, ' ')
    .trim();
}

/** For showing only: the server is the one who checks the token. */
function readToken(token: string): { room: string | undefined; name: string | undefined } {
  try {
    const payload = token.split('.')[1] ?? '';
    const base64 = payload.replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(base64), (char) => char.codePointAt(0) ?? 0);
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims !== 'object' || claims === null) return { room: undefined, name: undefined };
    const { name, sub, video } = claims as Record<string, unknown>;
    const grant = typeof video === 'object' && video !== null ? video : {};
    return {
      room: text((grant as Record<string, unknown>)['room']),
      name: text(name) ?? text(sub),
    };
  } catch {
    return { room: undefined, name: undefined };
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
