// The answers about accounts, as far as the page reads them; checked when they arrive, and by the
// compiler against the shapes that the server publishes (gen/api.ts).
import * as v from 'valibot';

const text = v.string();
const texts = v.array(v.string());
const time = v.number();

export const SignInAnswer = v.object({
  state: text,
  account_id: v.nullish(text),
  ticket: v.nullish(text),
  factors: v.optional(texts),
  recovery_codes: v.optional(texts),
  room: v.nullish(text),
});
export type SignInAnswer = v.InferOutput<typeof SignInAnswer>;

export const SignInPage = v.object({
  sign_up: text,
  password_shortest: v.number(),
  password_longest: v.number(),
  second_factor: text,
  password_reset: v.boolean(),
  providers: v.array(v.object({ id: text, name: text })),
});
export type SignInPage = v.InferOutput<typeof SignInPage>;

export const PasskeyOptions = v.object({ ticket: text, options: v.record(text, v.unknown()) });
export const TotpAnswer = v.object({ secret: text, uri: text, qr: text });
export type TotpAnswer = v.InferOutput<typeof TotpAnswer>;
export const Codes = v.object({ recovery_codes: texts });
export const ProviderBegun = v.object({ ticket: text, location: text });
export const Ended = v.object({ ended: v.number() });

const Passkey = v.object({
  id: text,
  name: text,
  created_at: time,
  used_at: v.nullable(time),
  synced: v.boolean(),
});
export type Passkey = v.InferOutput<typeof Passkey>;

export const OwnAccount = v.object({
  id: text,
  login: text,
  name: text,
  mail: text,
  kind: text,
  roles: texts,
  password: v.boolean(),
  totp: v.boolean(),
  recovery_codes_left: v.number(),
  passkeys: v.array(Passkey),
  providers: texts,
  created_at: time,
});
export type OwnAccount = v.InferOutput<typeof OwnAccount>;

const Device = v.object({
  id: text,
  name: text,
  network: text,
  created_at: time,
  seen_at: time,
  current: v.boolean(),
});
export type Device = v.InferOutput<typeof Device>;
export const Devices = v.object({ items: v.array(Device) });

const Session = v.object({
  id: text,
  device: text,
  label: text,
  client: v.nullable(text),
  created_at: time,
  last_used_at: time,
  expires_at: time,
  mfa: v.boolean(),
  current: v.boolean(),
});
export type Session = v.InferOutput<typeof Session>;
export const SessionList = v.object({ items: v.array(Session) });

const Consent = v.object({ client: text, name: text, scopes: texts, granted_at: time });
export type Consent = v.InferOutput<typeof Consent>;
export const ConsentList = v.object({ items: v.array(Consent) });

/** `/.well-known/sotto`: what this installation offers to whom. */
export const ServerFeatures = v.object({ features: v.record(text, v.boolean()) });
