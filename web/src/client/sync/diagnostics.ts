// Sends the log of this client, and only when the person has read it and agrees. Nothing else calls it.
import * as v from 'valibot';
import type { Api } from '../api';
import type { LogRing } from './ring';

const Sent = v.object({ id: v.string() });
/** What the server takes at once, with room for the names of the fields. */
const MOST_LINES = 400;

/** The newest lines, and what went wrong in the person's words; the id to name when asking for help. */
export async function sendLog(api: Api, log: LogRing, client: string, note = ''): Promise<string> {
  const lines = log.read().slice(-MOST_LINES);
  const body = { consent: true, lines, client, note };
  return (await api.ask('sendClientLog', 'POST', '/api/v1/diagnostics', Sent, { body })).id;
}
