// Asks the server for a way into a call: POST /api/join {room, name} -> {token, url, identity}.
// Not the call itself: session.ts takes the answer to the call library.
import * as v from 'valibot';
import { Failure, fromResponse } from './errors';

const Ticket = v.object({ token: v.string(), url: v.string(), identity: v.string() });
export type Ticket = v.InferOutput<typeof Ticket>;

const Problem = v.object({ code: v.optional(v.string()) });

/** Longer than the slowest honest answer (a server under load queues admissions), shorter than patience. */
const PATIENCE_MS = 10_000;

export interface JoinRequest {
  readonly room: string;
  readonly name: string;
}

export async function requestTicket(
  request: JoinRequest,
  fetcher: typeof fetch = fetch,
): Promise<Ticket> {
  const response = await send(request, fetcher);
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const problem = v.safeParse(Problem, body);
    const code = problem.success ? problem.output.code : undefined;
    throw fromResponse(response.status, code, response.headers.get('retry-after'));
  }
  const ticket = v.safeParse(Ticket, body);
  if (!ticket.success) throw new Failure('version_too_old', { detail: 'unexpected join answer' });
  return ticket.output;
}

async function send(request: JoinRequest, fetcher: typeof fetch): Promise<Response> {
  try {
    return await fetcher('/api/join', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ room: request.room, name: request.name }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    const offline = 'navigator' in globalThis && navigator.onLine === false;
    throw new Failure(offline ? 'offline' : 'server_unreachable', { detail: String(error) });
  }
}
