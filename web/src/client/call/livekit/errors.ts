// LiveKit's reasons in our words: why a connection was refused, why a call ended.
import { ConnectionError, ConnectionErrorReason, DisconnectReason } from 'livekit-client';
import { Failure, describe, fromResponse } from '../../errors';
import type { ErrorCode } from '../../errors';

const ENDED: Partial<Record<DisconnectReason, ErrorCode>> = {
  [DisconnectReason.DUPLICATE_IDENTITY]: 'opened_elsewhere',
  [DisconnectReason.SERVER_SHUTDOWN]: 'server_restarting',
  [DisconnectReason.PARTICIPANT_REMOVED]: 'removed',
  [DisconnectReason.ROOM_DELETED]: 'call_ended',
  [DisconnectReason.ROOM_CLOSED]: 'call_ended',
  [DisconnectReason.STATE_MISMATCH]: 'connection_lost',
  [DisconnectReason.SIGNAL_CLOSE]: 'connection_lost',
  [DisconnectReason.CONNECTION_TIMEOUT]: 'connection_lost',
  [DisconnectReason.MEDIA_FAILURE]: 'media_unreachable',
};

/** `seconds` is how long the library tried before it gave up. */
export function fromDisconnect(reason: DisconnectReason | undefined, seconds: number): Failure {
  const code = (reason === undefined ? undefined : ENDED[reason]) ?? 'connection_lost';
  const detail = reason === undefined ? 'no reason given' : DisconnectReason[reason];
  return new Failure(code, { seconds, ...(detail === undefined ? {} : { detail }) });
}

/** `validate` asks the server why, because a browser hides the reason of a refused WebSocket. */
export async function fromConnect(
  error: unknown,
  validate: () => Promise<Response>,
): Promise<Failure> {
  const detail = describe(error);
  if (!(error instanceof ConnectionError)) return new Failure('internal', { detail });
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return fromRefusal(error.status ?? 401, error.message);
    case ConnectionErrorReason.LeaveRequest:
      return error.context === DisconnectReason.JOIN_FAILURE
        ? new Failure('media_unreachable', { detail })
        : fromDisconnect(error.context as DisconnectReason, 0);
    case ConnectionErrorReason.Cancelled:
    case ConnectionErrorReason.Timeout:
      return new Failure('server_unreachable', { detail });
    case ConnectionErrorReason.InternalError:
      if (/pc connection|peer connection/i.test(error.message)) {
        return new Failure('media_unreachable', { detail });
      }
      return ask(validate, detail);
    default:
      return ask(validate, detail);
  }
}

async function ask(validate: () => Promise<Response>, detail: string): Promise<Failure> {
  try {
    const response = await validate();
    if (response.ok) return new Failure('internal', { detail });
    return fromRefusal(response.status, await response.text());
  } catch {
    return new Failure(navigator.onLine ? 'server_unreachable' : 'offline', { detail });
  }
}

/** The reason comes as plain text on this protocol; only classes of it are told apart. */
function fromRefusal(status: number, reason: string): Failure {
  if (/(limit of|max) participants/i.test(reason)) return new Failure('room_full');
  if (/expired/i.test(reason)) return new Failure('token_expired', { detail: `HTTP ${status}` });
  if (status === 404) return new Failure('room_not_found', { detail: `HTTP ${status}` });
  return fromResponse(status, undefined, null);
}
