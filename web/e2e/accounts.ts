// What scenarios of accounts need beside a browser: the server's API as its first administrator, links
// that it makes, an authenticator app, and an authenticator in Chromium that answers by itself.
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Tab } from './browsers';
import { pause } from './media';
import type { World } from './world';

export const PASSWORD = 'plum quartz violin ember';
const OWNER = { login: 'root.ana', password: PASSWORD };

type Body = Readonly<Record<string, unknown>>;
type Answer = Readonly<Record<string, string>>;

/** The first administrator's link, as the server printed it last. */
export async function setupLink(world: World): Promise<string> {
  const text = await readFile(world.log, 'utf8');
  const found = text.match(/https?:\/\/\S+\/setup#[\w-]+/g)?.at(-1);
  if (found === undefined) throw new Error(`no link for the first administrator in ${world.log}`);
  return found;
}

const tokens = new Map<string, string>();

/** As owner, made by the printed link where nobody is one yet. */
export async function asOwner(
  world: World,
  method: string,
  path: string,
  body: Body = {},
): Promise<Answer> {
  const { origin } = world.server;
  const answer = await ask(origin, method, path, body, await ownersToken(world));
  if (answer.status !== 403) return read(answer);
  // Some acts ask for a proof that is not as old as ours: a new sign-in is one.
  tokens.delete(origin);
  return read(await ask(origin, method, path, body, await ownersToken(world)));
}

async function ownersToken(world: World): Promise<string> {
  const { origin } = world.server;
  let token = tokens.get(origin);
  if (token === undefined) {
    const [, link = ''] = (await setupLink(world)).split('#');
    const signedUp = await ask(origin, 'POST', '/sign-up', { ...OWNER, link });
    const done = signedUp.ok ? signedUp : await ask(origin, 'POST', '/sign-in/password', OWNER);
    token = String((await read(done))['access_token']);
    tokens.set(origin, token);
  }
  return token;
}

export async function invitation(world: World): Promise<string> {
  const made = await asOwner(world, 'POST', '/invitations');
  return String(made['url']);
}

export async function guestLink(world: World, room: string): Promise<string> {
  const made = await asOwner(world, 'POST', '/guest-links', { room });
  return String(made['url']);
}

function ask(
  origin: string,
  method: string,
  path: string,
  body: Body,
  token = '',
): Promise<Response> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (token !== '') headers['authorization'] = `Bearer ${token}`;
  return fetch(`${origin}/api/v1${path}`, {
    method,
    headers,
    body: method === 'GET' ? null : JSON.stringify(body),
  });
}

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${text}`);
  return text === '' ? {} : (JSON.parse(text) as Answer);
}

const PERIOD = 30;

/** An authenticator app (RFC 6238): never the same step twice, since the server refuses that. */
export class AuthenticatorApp {
  private last = 0;

  constructor(private readonly secret: string) {}

  async code(): Promise<string> {
    const now = () => Math.floor(Date.now() / 1_000 / PERIOD);
    const step = Math.max(now(), this.last + 1);
    // The server takes one step of skew.
    while (step > now() + 1) await pause(500);
    this.last = step;
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const digest = createHmac('sha1', fromBase32(this.secret)).update(counter).digest();
    const at = (digest.at(-1) ?? 0) & 15;
    const number = (digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000;
    return String(number).padStart(6, '0');
  }
}

function fromBase32(text: string): Buffer {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...text.replaceAll(' ', '')]
    .map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0'))
    .join('');
  const bytes = bits.match(/.{8}/g) ?? [];
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)));
}

export interface Authenticator {
  /** Whether its owner can show that it is them (a finger, a PIN). */
  verifies(yes: boolean): Promise<void>;
}

/** Chromium's own virtual authenticator, for this tab. */
export async function authenticator(tab: Tab): Promise<Authenticator> {
  const devtools = await tab.page.context().newCDPSession(tab.page);
  await devtools.send('WebAuthn.enable', { enableUI: false });
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    verifies: async (isUserVerified) => {
      await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
    },
  };
}
