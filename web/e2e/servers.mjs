// What the page is served by: `sotto dev` (or any command that ends in one), or LiveKit's own server
// with a small token endpoint in front, which tells a fault of the page from a fault of our server.
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, createServer as createTcp } from 'node:net';
import { networkInterfaces } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pause } from './media.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const KEY = 'devkey';
const SECRET = 'secret';

/** A LiveKit call token; the keys are those of both servers' development mode. */
export function makeToken(identity, room, { seconds = 600, secret = SECRET, grant = {} } = {}) {
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: KEY,
    sub: identity,
    name: identity,
    nbf: now - 10,
    exp: now + seconds,
    video: { roomJoin: true, room, ...grant },
  };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

/** `command` is run through the shell and killed as a group, so that nothing of it stays behind. */
export async function startSotto(command, origin) {
  let child = null;
  const start = async () => {
    child = spawn(command, { shell: true, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    await answers(`${origin}/`);
  };
  const kill = (signal = 'SIGKILL') => {
    if (child?.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
  };
  await start();
  return { name: 'sotto', origin, token: makeToken, admin: adminOf(origin), gone: kill, back: start, stop: () => kill('SIGTERM') };
}

/** A server that somebody else runs: scenarios that end it are left out by name. */
export function useServer(origin) {
  const cannot = () => {
    throw new Error('this server was started elsewhere: pass --serve to let the test end it');
  };
  return { name: 'given', origin, token: makeToken, admin: adminOf(origin), gone: cannot, back: cannot, stop: () => undefined };
}

export async function startLiveKit(binary) {
  const [port, udp, tcp] = [await freePort(), await freePort(), await freePort()];
  const config = JSON.stringify({
    port,
    logging: { level: 'error' },
    rtc: { udp_port: udp, tcp_port: tcp, use_external_ip: false, enable_loopback_candidate: true },
  });
  let child = null;
  const start = async () => {
    const address = ['--dev', '--bind', '127.0.0.1', '--node-ip', hostAddress()];
    child = spawn(binary, [...address, '--config-body', config], { stdio: 'ignore' });
    await answers(`http://127.0.0.1:${port}/`);
  };
  await start();
  const front = await startFront(port);
  return {
    name: 'livekit',
    origin: front.origin,
    token: makeToken,
    admin: adminOf(`http://127.0.0.1:${port}`),
    gone: () => {
      child.kill('SIGKILL');
      front.refuse(true);
    },
    back: async () => {
      front.refuse(false);
      await start();
    },
    stop: () => {
      child.kill('SIGKILL');
      front.close();
    },
  };
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/** The built page, POST /api/join, and everything under /rtc piped to LiveKit. */
async function startFront(port) {
  let refusing = false;
  const server = createServer((request, response) => {
    if (refusing) return request.socket.destroy();
    if (request.url.startsWith('/rtc')) return forward(port, request, response);
    if (request.url === '/api/join') return join_(request, response, server.address().port);
    return page(request, response);
  });
  const open = new Set();
  server.on('connection', (socket) => open.add(socket.on('close', () => open.delete(socket))));
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
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
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

async function page(request, response) {
  const path = normalize(new URL(request.url, 'http://x').pathname);
  const name = extname(path) === '' ? '/index.html' : path;
  try {
    const body = await readFile(join(DIST, name));
    response.writeHead(200, {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'self'",
    });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}

async function join_(request, response, port) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { room, name } = JSON.parse(Buffer.concat(chunks).toString());
  const identity = `${name}-${Math.random().toString(36).slice(2, 8)}`;
  const token = makeToken(identity, room, {});
  const body = { token: renamed(token, name), url: `ws://127.0.0.1:${port}`, identity };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** The display name is the one that was asked for; only the identity is made unique. */
function renamed(token, name) {
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${token.split('.')[0]}.${part({ ...claims, name })}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
}

async function forward(port, request, response) {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${request.url}`);
    response.writeHead(answer.status).end(await answer.text());
  } catch {
    request.socket.destroy();
  }
}

async function answers(url) {
  for (let tries = 0; tries < 300; tries += 1) {
    const ok = await fetch(url).then((answer) => answer.ok, () => false);
    if (ok) return;
    await pause(100);
  }
  throw new Error(`${url} does not answer`);
}

async function freePort() {
  const probe = createTcp();
  await new Promise((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

/** Firefox pairs no loopback candidates, so media needs another address of this machine. */
function hostAddress() {
  const all = Object.values(networkInterfaces()).flat();
  return all.find((one) => one.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1';
}

/** A call of the server API, with a token that may do everything in that room. */
function adminOf(origin) {
  return (method, body) => admin(origin, method, body);
}

async function admin(origin, method, body) {
  const room = body.room ?? body.name;
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
