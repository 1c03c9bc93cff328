// Passkeys in this browser (WebAuthn level 3, sections 5.1.3 and 5.1.4): options and answers travel as JSON,
// the browser wants bytes. Converted here, since Safari's own conversion is younger than its passkeys.
import { Failure, describe } from '../errors';

export type Json = Record<string, unknown>;

export interface Passkeys {
  readonly supported: boolean;
  /** Raises Failure. */
  create(options: Json): Promise<Json>;
  get(options: Json): Promise<Json>;
}

type Credentials = Pick<CredentialsContainer, 'create' | 'get'>;

export class BrowserPasskeys implements Passkeys {
  /** Null where the browser or an insecure address has none. */
  constructor(private readonly credentials: Credentials | null) {}

  get supported(): boolean {
    return this.credentials !== null;
  }

  async create(options: Json): Promise<Json> {
    const { user, excludeCredentials } = options;
    const publicKey = {
      ...options,
      challenge: bytes(options['challenge']),
      user: { ...(user as Json), id: bytes((user as Json)['id']) },
      excludeCredentials: listed(excludeCredentials),
    } as unknown as PublicKeyCredentialCreationOptions;
    const made = await this.asked((credentials) => credentials.create({ publicKey }));
    const response = made.response as AuthenticatorAttestationResponse;
    return answer(made, {
      clientDataJSON: base64url(response.clientDataJSON),
      attestationObject: base64url(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    });
  }

  async get(options: Json): Promise<Json> {
    const publicKey = {
      ...options,
      challenge: bytes(options['challenge']),
      allowCredentials: listed(options['allowCredentials']),
    } as unknown as PublicKeyCredentialRequestOptions;
    const shown = await this.asked((credentials) => credentials.get({ publicKey }));
    const response = shown.response as AuthenticatorAssertionResponse;
    return answer(shown, {
      clientDataJSON: base64url(response.clientDataJSON),
      authenticatorData: base64url(response.authenticatorData),
      signature: base64url(response.signature),
      userHandle: response.userHandle === null ? null : base64url(response.userHandle),
    });
  }

  private async asked(
    work: (credentials: Credentials) => Promise<Credential | null>,
  ): Promise<PublicKeyCredential> {
    if (this.credentials === null) throw new Failure('passkey_unsupported');
    try {
      const found = await work(this.credentials);
      if (found === null) throw new Failure('passkey_cancelled');
      return found as PublicKeyCredential;
    } catch (error) {
      throw fromPasskey(error);
    }
  }
}

/** The errors of WebAuthn: which are the person's choice, which the browser's, which the address's. */
function fromPasskey(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const detail = describe(error);
  switch (error instanceof Error ? error.name : '') {
    case 'NotAllowedError':
    case 'AbortError':
      return new Failure('passkey_cancelled', { detail });
    case 'InvalidStateError':
      return new Failure('passkey_known', { detail });
    case 'NotSupportedError':
    case 'ConstraintError':
      return new Failure('passkey_unsupported', { detail });
    default:
      return new Failure('passkey_failed', { detail });
  }
}

function answer(credential: PublicKeyCredential, response: Json): Json {
  return {
    id: credential.id,
    rawId: base64url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  };
}

function listed(value: unknown): Json[] {
  if (!Array.isArray(value)) return [];
  return value.map((one: Json) => ({ ...one, id: bytes(one['id']) }));
}

function bytes(value: unknown): Uint8Array {
  const base64 = String(value).replaceAll('-', '+').replaceAll('_', '/');
  return Uint8Array.from(atob(base64), (char) => char.codePointAt(0) ?? 0);
}

function base64url(buffer: ArrayBuffer): string {
  let binary = '';
  for (const byte of new Uint8Array(buffer)) binary += String.fromCodePoint(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
