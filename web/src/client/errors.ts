// The catalogue of what can go wrong, and the translation of everybody else's errors into it.
// A code is also a pair of texts, `error.<code>.title` and `.body`; the server's codes are the first block
// (signaling/errors.py), and tests/web compares both lists. No error leaves the client core in another form.

export const SERVER_CODES = [
  'bad_request',
  'too_large',
  'rate_limited',
  'method_not_allowed',
  'not_acceptable',
  'unsupported_media_type',
  'precondition_failed',
  'precondition_required',
  'conflict',
  'not_found',
  'room_not_found',
  'participant_not_found',
  'track_not_found',
  'token_missing',
  'token_invalid',
  'token_expired',
  'token_revoked',
  'insufficient_scope',
  'reauthentication_required',
  'origin_refused',
  'version_unsupported',
  'not_permitted',
  'room_full',
  'bad_sdp',
  'draining',
  'unavailable',
  'unimplemented',
  'internal',
  'fields_invalid',
  'parameter_duplicated',
  'cursor_invalid',
  'idempotency_mismatch',
  'idempotency_in_flight',
  'tls_required',
  'key_destroyed',
  'key_unknown',
  'key_inactive',
  'key_in_use',
  'second_approver_needed',
  'consent_required',
  'integrity_error',
  'access_denied',
  'access_token_invalid',
  'access_token_expired',
  'access_token_revoked',
  'grant_invalid',
  'signature_invalid',
  'timestamp_skewed',
  'request_replayed',
  'message_not_found',
  'banned',
  'plaintext_refused',
  'author_mismatch',
  'encryption_unavailable',
  'quota_exceeded',
  'upload_offset_mismatch',
  'upload_busy',
  'upload_incomplete',
  'checksum_mismatch',
  'tus_version_unsupported',
  'file_type_refused',
  'file_type_mismatch',
  'file_unreadable',
  'file_too_complex',
  'file_quarantined',
  'file_not_ready',
  'file_mode_mismatch',
  'archive_invalid',
  'archive_tampered',
  'archive_too_large',
  'sign_in_failed',
  'sign_up_closed',
  'login_refused',
  'login_taken',
  'password_too_short',
  'password_too_long',
  'password_common',
  'password_guessable',
  'link_invalid',
  'last_owner',
  'second_factor_needed',
  'provider_refused',
] as const;

export const PAGE_CODES = [
  'not_supported',
  'insecure_page',
  'server_unreachable',
  'offline',
  'connection_lost',
  'server_restarting',
  'media_unreachable',
  'opened_elsewhere',
  'removed',
  'call_ended',
  'version_too_old',
  'device_denied',
  'device_busy',
  'device_missing',
  'device_failed',
  'share_denied',
  'share_failed',
  'share_unsupported',
  'publish_refused',
  'passkey_cancelled',
  'passkey_unsupported',
  'passkey_known',
  'passkey_failed',
] as const;

export type ErrorCode = (typeof SERVER_CODES)[number] | (typeof PAGE_CODES)[number];
export type Device = 'camera' | 'microphone' | 'speaker' | 'both';

/** One failure, ready to be put into words. `detail` is for "Copy details" only, never shown by itself. */
export class Failure extends Error {
  readonly code: ErrorCode;
  readonly device: Device;
  readonly seconds: number;

  constructor(code: ErrorCode, more: { device?: Device; seconds?: number; detail?: string } = {}) {
    super(more.detail ?? code);
    this.name = 'Failure';
    this.code = code;
    this.device = more.device ?? 'both';
    this.seconds = more.seconds ?? 0;
  }
}

export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure('internal', { detail: describe(error) });
}

export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

const CODES: ReadonlySet<string> = new Set(SERVER_CODES);

/** The server's own code when it named one that we know, otherwise what the status usually means. */
export function fromResponse(status: number, code: unknown, retryAfter: string | null): Failure {
  const seconds = Number.parseInt(retryAfter ?? '', 10);
  const more = { detail: `HTTP ${status}`, seconds: Number.isFinite(seconds) ? seconds : 0 };
  if (typeof code === 'string' && CODES.has(code)) return new Failure(code as ErrorCode, more);
  return new Failure(codeOfStatus(status), more);
}

function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    case 400:
    case 422:
      return 'bad_request';
    case 401:
      return 'token_invalid';
    case 403:
      return 'not_permitted';
    case 404:
      return 'not_found';
    case 413:
      return 'too_large';
    case 429:
      return 'rate_limited';
    case 502:
    case 503:
    case 504:
      return 'unavailable';
    default:
      return 'internal';
  }
}

/** getUserMedia's and setSinkId's errors (Media Capture and Streams, section 10.2). */
export function fromDevice(error: unknown, device: Device): Failure {
  if (error instanceof Failure) return error;
  const detail = describe(error);
  switch (error instanceof Error ? error.name : '') {
    case 'NotAllowedError':
    case 'PermissionDeniedError':
    case 'SecurityError':
      return new Failure('device_denied', { device, detail });
    case 'NotFoundError':
    case 'OverconstrainedError':
      return new Failure('device_missing', { device, detail });
    case 'NotReadableError':
    case 'AbortError':
      return new Failure('device_busy', { device, detail });
    case 'PublishTrackError':
      return new Failure('publish_refused', { device, detail });
    default:
      return new Failure('device_failed', { device, detail });
  }
}

/** getDisplayMedia's errors; null when the person simply changed their mind. */
export function fromShare(error: unknown): Failure | null {
  const detail = describe(error);
  const name = error instanceof Error ? error.name : '';
  if (name === 'NotAllowedError') {
    return /by system/i.test(detail) ? new Failure('share_denied', { detail }) : null;
  }
  if (name === 'AbortError' || name === 'InvalidStateError') return null;
  if (name === 'DeviceUnsupportedError') return new Failure('share_unsupported', { detail });
  if (name === 'PublishTrackError') return new Failure('publish_refused', { detail });
  return new Failure('share_failed', { detail });
}
