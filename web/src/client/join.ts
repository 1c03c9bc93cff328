// Asks the server for a way into a call: a call token of one's own account where somebody is signed in,
// otherwise what the server gives strangers. Not the call itself: session.ts takes the answer to the library.
import * as v from 'valibot';
import { exchange } from './api';
import { Failure } from './errors';

const Ticket = v.object({ token: v.string(), url: v.string(), identity: v.string() });
export type Ticket = v.InferOutput<typeof Ticket>;

export interface JoinRequest {
  readonly room: string;
  readonly name: string;
}

/** `POST /api/join`: for strangers, where the operator lets them in. */
export function requestTicket(request: JoinRequest, fetcher?: typeof fetch): Promise<Ticket> {
  return ticketFrom('/api/join', request, fetcher);
}

/** `POST /api/v1/calls/tokens`: bound to the session, and over when it ends. */
export function requestCallToken(request: JoinRequest, fetcher?: typeof fetch): Promise<Ticket> {
  return ticketFrom('/api/v1/calls/tokens', request, fetcher);
}

async function ticketFrom(
  path: string,
  { room, name }: JoinRequest,
  fetcher: typeof fetch = fetch,
): Promise<Ticket> {
  const ticket = v.safeParse(Ticket, await exchange(fetcher, 'POST', path, { room, name }));
  if (!ticket.success) throw new Failure('version_too_old', { detail: 'unexpected join answer' });
  return ticket.output;
}
