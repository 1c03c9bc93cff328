import { describe, expect, it } from 'vitest';
import { Api } from '../api';
import { sendLog } from './diagnostics';
import { LogRing } from './ring';

describe('sending the log', () => {
  it('sends the newest lines, redacted, with the consent of who asked for it', async () => {
    const sent: {
      url: string;
      body: { consent: boolean; note: string; lines: { text: string }[] };
    }[] = [];
    const api = new Api(async (url, init) => {
      sent.push({ url: String(url), body: JSON.parse(String(init?.body)) });
      return Response.json({ id: 'log-1' }, { status: 201 });
    });
    const log = new LogRing(() => 5000);
    for (let number = 0; number < 500; number += 1) log.write('info', `line ${number}`);
    log.write('error', 'token=verysecret failed');
    expect(await sendLog(api, log, 'web', 'It hangs.')).toBe('log-1');
    const [only] = sent;
    expect(only?.url).toBe('/api/v1/diagnostics');
    expect(only?.body).toMatchObject({ consent: true, client: 'web', note: 'It hangs.' });
    expect(only?.body.lines).toHaveLength(400);
    expect(only?.body.lines.at(-1)).toEqual({ at: 5, level: 'error', text: 'token=*** failed' });
  });
});
