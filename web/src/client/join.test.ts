import { describe, expect, it, vi } from 'vitest';
import { requestTicket } from './join';

const wish = { room: 'kitchen', name: 'Ada' };
const ticket = { token: 'a.b.c', url: 'wss://sotto.example', identity: 'guest-1' };

function server(body: unknown, status = 200, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return vi.fn<typeof fetch>(async () => new Response(text, { status, headers }));
}

describe('requestTicket', () => {
  it('asks with exactly room and name, and returns the ticket', async () => {
    const fetcher = server({ ...ticket, later: 'ignored' });
    const extra = { ...wish, token: 'must not be sent' };
    await expect(requestTicket(extra, fetcher)).resolves.toEqual(ticket);
    const [path, init] = fetcher.mock.calls[0] ?? [];
    expect(path).toBe('/api/join');
    expect(JSON.parse(String(init?.body))).toEqual(wish);
  });

  it("passes on the server's reason and patience", async () => {
    const fetcher = server({ code: 'rate_limited' }, 429, { 'retry-after': '3' });
    await expect(requestTicket(wish, fetcher)).rejects.toMatchObject({
      code: 'rate_limited',
      seconds: 3,
    });
  });

  it('makes sense of a proxy that answers in its own words', async () => {
    const fetcher = server('<h1>Bad gateway</h1>', 502);
    await expect(requestTicket(wish, fetcher)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('takes an answer of another shape for another version', async () => {
    const fetcher = server({ token: 7 });
    await expect(requestTicket(wish, fetcher)).rejects.toMatchObject({ code: 'version_too_old' });
  });

  it('says that the server does not answer, or that you are offline', async () => {
    const fetcher = vi.fn<typeof fetch>(() => Promise.reject(new TypeError('failed to fetch')));
    await expect(requestTicket(wish, fetcher)).rejects.toMatchObject({
      code: 'server_unreachable',
    });
    vi.stubGlobal('navigator', { onLine: false });
    await expect(requestTicket(wish, fetcher)).rejects.toMatchObject({ code: 'offline' });
    vi.unstubAllGlobals();
  });
});
