// What the page is served by: `sotto dev` (or any command that ends in one), or LiveKit's own server
// with a small token endpoint in front, which tells a fault of the page from a fault of our server.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, createServer as createTcp } from 'node:net';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pause } from './media';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const KEY = 'devkey';
const SECRET = 'secret';

export interface Server {
  readonly name: string;
  readonly origin: string;
  token(identity: string, room: string, more?: TokenOptions): string;
  admin(method: string, body: AdminBody): Promise<unknown>;
  /** Ends at once, as a crash would. */
  gone(): void;
  back(): Promise<void>;
  stop(): void;
}

interface TokenOptions {
  readonly seconds?: number;
  readonly secret?: string;
  readonly name?: string;
  readonly grant?: object;
}

interface AdminBody {
  readonly room?: string;
  readonly name?: string;
  readonly identity?: string;
  readonly max_participants?: number;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A LiveKit call token; the keys are those of both servers' development mode. */
function makeToken(identity: string, room: string, more: TokenOptions = {}): string {
  const { seconds = 600, secret = SECRET, name = identity, grant = {} } = more;
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: KEY,
    sub: identity,
    name,
    nbf: now - 10,
    exp: now + seconds,
    video: { roomJoin: true, room, ...grant },
  };
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

/** `command` is one program with its arguments; redirections are the shell's. */
export async function startSotto(command: string, origin: string): Promise<Server> {
  let child: ChildProcess | null = null;
  const start = async () => {
    // `exec`: the child is the server itself, not a shell that a signal would leave it behind.
    child = spawn('/bin/sh', ['-c', `exec ${command}`], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    await answers(`${origin}/`, child);
  };
  const kill = (signal: NodeJS.Signals) => void child?.kill(signal);
  await start();
  return {
    name: 'sotto',
    origin,
    token: makeToken,
    admin: adminOf(origin),
    gone: () => kill('SIGKILL'),
    back: start,
    stop: () => kill('SIGTERM'),
  };
}

/** A server that somebody else runs: scenarios that end it fail and say so. */
export function useServer(origin: string): Server {
  const foreign = { gone: cannot, back: cannot, stop: () => undefined };
  return { name: 'given', origin, token: makeToken, admin: adminOf(origin), ...foreign };
}

function cannot(): never {
  throw new Error('this server was started elsewhere: pass --serve to let the test end it');
}

export async function startLiveKit(binary: string): Promise<Server> {
  const [port, udp, tcp] = [await freePort(), await freePort(), await freePort()];
  const config = JSON.stringify({
    port,
    logging: { level: 'error' },
    rtc: { udp_port: udp, tcp_port: tcp, use_external_ip: false, enable_loopback_candidate: true },
  });
  let child: ChildProcess | null = null;
  const start = async () => {
    const address = ['--dev', '--bind', '127.0.0.1', '--node-ip', hostAddress()];
    child = spawn(binary, [...address, '--config-body', config], { stdio: 'ignore' });
    await answers(`http://127.0.0.1:${port}/`, child);
  };
  await start();
  const front = await startFront(port);
  return {
    name: 'livekit',
    origin: front.origin,
    token: makeToken,
    admin: adminOf(`http://127.0.0.1:${port}`),
    gone: () => {
      child?.kill('SIGKILL');
      front.refuse(true);
    },
    back: async () => {
      front.refuse(false);
      await start();
    },
    stop: () => {
      child?.kill('SIGKILL');
      front.close();
    },
  };
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/** The built page, POST /api/join, and everything under /rtc piped to LiveKit. */
let serial = 0;

interface Front {
  readonly origin: string;
  refuse(yes: boolean): void;
  close(): void;
}

async function startFront(port: number): Promise<Front> {
  let refusing = false;
  const server = createServer((request, response) => {
    if (refusing) return request.socket.destroy();
    const url = request.url ?? '/';
    if (url.startsWith('/rtc')) return forward(port, request, response);
    if (url === '/api/join') return giveTicket(request, response);
    return page(url, response);
  });
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    const upstream = connect(port, '127.0.0.1', () => {
      const headers = request.rawHeaders.map((text, i) => text + (i % 2 === 0 ? ': ' : '\r\n'));
      upstream.write(`GET ${request.url} HTTP/1.1\r\n${headers.join('')}\r\n`);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  const { port: own } = await listen(server);
  return {
    origin: `http://127.0.0.1:${own}`,
    refuse: (yes) => {
      refusing = yes;
      if (yes) for (const socket of open) socket.destroy();
    },
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

/** As strict as our own server's. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "media-src 'self' blob:",
  "require-trusted-types-for 'script'",
].join('; ');

async function page(url: string, response: ServerResponse): Promise<void> {
  const path = normalize(new URL(url, 'http://x').pathname);
  const name = extname(path) === '' ? '/index.html' : path;
  try {
    const body = await readFile(join(DIST, name));
    response.writeHead(200, {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
    });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}

async function giveTicket(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { room, name } = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>;
  serial += 1;
  const identity = `guest-${serial}`;
  const token = makeToken(identity, room ?? '', { name: name ?? '' });
  const url = `ws://${request.headers.host ?? ''}`;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ token, url, identity }));
}

async function forward(
  port: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${request.url}`);
    response.writeHead(answer.status).end(await answer.text());
  } catch {
    request.socket.destroy();
  }
}

/** Waits for our own server: when it has ended, whoever answers there is somebody else. */
async function answers(url: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const ok = await fetch(url, { headers: { accept: 'text/html' } }).then(
      (answer) => answer.ok,
      () => false,
    );
    if (ok) return;
    await pause(100);
  }
  throw new Error(`${url} does not answer`);
}

async function freePort(): Promise<number> {
  const probe = createTcp();
  const { port } = await listen(probe);
  probe.close();
  await once(probe, 'close');
  return port;
}

async function listen(server: NetServer): Promise<AddressInfo> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address() as AddressInfo;
}

/** Firefox pairs no loopback candidates, so media needs another address of this machine. */
function hostAddress(): string {
  const all = Object.values(networkInterfaces()).flat();
  const outward = all.find((one) => one?.family === 'IPv4' && !one.internal);
  return outward?.address ?? '127.0.0.1';
}

/** A call of the server API, with a token that may do everything in that room. */
function adminOf(origin: string): Server['admin'] {
  return (method, body) => admin(origin, method, body);
}

async function admin(origin: string, method: string, body: AdminBody): Promise<unknown> {
  const room = body.room ?? body.name ?? '';
  const grant = { roomAdmin: true, roomCreate: true, roomList: true };
  const answer = await fetch(`${origin}/twirp/livekit.RoomService/${method}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${makeToken('admin', room, { grant })}`,
    },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
