// What a client does about an error of the server: docs/reference/sync.md, table "Errors", in code. Pure.
import type { ErrorFrame } from './frames';

/**
 * ignore: nothing. warn: tell the person, go on. again: bind later. token: get another token, then bind.
 * rename: begin anew with a new ident. begin_anew: with the same. stop: follow it no longer. forget: nor keep anything of it. bug: the
 * session is over until the next socket. reconnect: the socket ends. sign_out: sign in again.
 */
export type Fate =
  | 'ignore'
  | 'warn'
  | 'again'
  | 'token'
  | 'rename'
  | 'begin_anew'
  | 'stop'
  | 'forget'
  | 'bug'
  | 'reconnect'
  | 'sign_out';

const UNKNOWN_MESSAGE = 102;
const NO_SUCH_SESSION = 106;
const TOKENS: ReadonlySet<number> = new Set([202, 203]);
const STRANGERS: ReadonlySet<number> = new Set([208, 223]);
const RESETS: ReadonlySet<number> = new Set([209, 210, 211, 222]);
const CLOSED: ReadonlySet<number> = new Set([204, 206, 224, 228]);
const GONE = 205;
const COMPENSATED = 231;
/** Sessions have their errors from here on; below are the socket's. */
const FIRST_OF_SESSIONS = 200;

export function fateOf({ code, body }: ErrorFrame): Fate {
  if (body.action === 'LogOutUser') return 'sign_out';
  if (code < FIRST_OF_SESSIONS) return ofTheSocket(code);
  if (code === COMPENSATED) return 'warn';
  if (STRANGERS.has(code)) return 'rename';
  if (RESETS.has(code) && body.shouldClientReset) return 'begin_anew';
  if (TOKENS.has(code)) return 'token';
  if (code === GONE) return 'forget';
  if (CLOSED.has(code)) return 'stop';
  return body.tryAgain ? 'again' : 'bug';
}

function ofTheSocket(code: number): Fate {
  if (code === UNKNOWN_MESSAGE || code === NO_SUCH_SESSION) return 'ignore';
  return code < NO_SUCH_SESSION ? 'reconnect' : 'bug';
}

/** Close codes after which trying again is of no use (signaling/sync/errors.py). */
const SIGNED_OUT: ReadonlySet<number> = new Set([4401, 4403]);

export function endsForGood(closeCode: number): boolean {
  return SIGNED_OUT.has(closeCode);
}
