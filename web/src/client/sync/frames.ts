// The frames of the socket: what a server may send, checked as it comes in, and what this client sends.
// They are described in the server's AsyncAPI document and docs/reference/sync.md.
import * as v from 'valibot';
import type { File } from './copy';
import type { AnyOp, Place } from './model';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const PlaceShape = v.object({
  seq: count,
  ident: v.string(),
  version: count,
  clock: count,
  at: v.string(),
  op: v.optional(v.looseObject({ type: v.string() })),
  account: v.optional(v.nullable(v.string())),
  part: v.optional(v.string()),
  expires_at: v.optional(v.nullable(v.string())),
});

const Hello = v.object({
  type: v.literal('hello'),
  account: v.nullable(v.string()),
  ping_seconds: v.number(),
  pong_seconds: v.number(),
  messages_per_second: v.number(),
  messages_burst: v.number(),
});

const Ping = v.object({ type: v.literal('ping'), id: count });

const Given = v.object({
  type: v.literal('ident'),
  session: count,
  client_file_ident: v.string(),
  client_file_ident_salt: v.string(),
});

const DownloadShape = v.object({
  type: v.literal('download'),
  session: count,
  upload_client_version: count,
  from: count,
  to: count,
  head: count,
  floor: count,
  chain: v.string(),
  downloadable_bytes: v.optional(count),
  bootstrap: v.optional(v.picklist(['more', 'last'])),
  state: v.optional(v.looseObject({})),
  changes: v.optional(v.array(PlaceShape)),
  packed: v.optional(v.string()),
});

const Rejected = v.object({ client_version: count, code: v.string(), reason: v.string() });

const ErrorShape = v.object({
  type: v.literal('error'),
  code: count,
  name: v.string(),
  session: v.optional(count, 0),
  body: v.object({
    message: v.string(),
    tryAgain: v.boolean(),
    shouldClientReset: v.optional(v.boolean(), false),
    action: v.string(),
    rejectedUpdates: v.optional(v.array(Rejected)),
  }),
});

const Mark = v.object({ type: v.literal('mark'), session: count, request: count });

const PersonShape = v.object({
  account: v.string(),
  /** `online`, `away`, `busy`, `offline`; of oneself also `invisible`. */
  state: v.string(),
  text: v.string(),
  emoji: v.string(),
  until: v.nullable(v.string()),
  seen_at: v.nullable(v.string()),
});

const PeopleShape = v.object({ people: v.array(PersonShape) });
const PresenceShape = v.object({
  type: v.literal('presence'),
  session: count,
  ...PeopleShape.entries,
});

const Known = v.variant('type', [
  Hello,
  Ping,
  Given,
  DownloadShape,
  ErrorShape,
  Mark,
  PresenceShape,
]);
const Named = v.looseObject({ type: v.string() });
const Changes = v.array(PlaceShape);

export type Hello = v.InferOutput<typeof Hello>;
export type ErrorFrame = v.InferOutput<typeof ErrorShape>;
/** As much of somebody as they show. */
export type PersonShown = Readonly<v.InferOutput<typeof PersonShape>>;
export type Rejected = v.InferOutput<typeof Rejected>;
type Wired = v.InferOutput<typeof Known>;
type Packable = v.InferOutput<typeof DownloadShape>;

/** A place without its op is the receiver's own change of that version. */
export type Incoming = Omit<Place, 'op'> & { readonly op?: AnyOp | undefined };
export type Download = Omit<Packable, 'packed' | 'changes'> & { readonly changes: Incoming[] };

export type ServerFrame = Exclude<Wired, { type: 'download' }> | Download;
/** Those that are of one session. */
export type SessionFrame = Exclude<ServerFrame, { type: 'hello' | 'ping' }>;

interface Uploaded {
  readonly version: number;
  readonly clock: number;
  readonly op: AnyOp;
}

export type ClientFrame =
  | { readonly type: 'pong'; readonly id: number }
  | { readonly type: 'pace'; readonly background: boolean; readonly seconds?: number }
  | {
      readonly type: 'bind';
      readonly session: number;
      readonly path: string;
      readonly need_client_file_ident?: true;
    }
  | {
      readonly type: 'ident';
      readonly session: number;
      readonly client_file_ident: string;
      readonly client_file_ident_salt: string;
      readonly download_server_version: number;
      readonly chain: string;
      readonly upload_client_version: number;
      readonly compress: true;
    }
  | { readonly type: 'upload'; readonly session: number; readonly changes: readonly Uploaded[] }
  | { readonly type: 'mark'; readonly session: number; readonly request: number }
  | { readonly type: 'unbind'; readonly session: number };

/** Who a copy is to the server, and how far it has come. */
export function identOf(session: number, file: File): ClientFrame {
  return {
    type: 'ident',
    session,
    client_file_ident: file.ident,
    client_file_ident_salt: file.salt,
    download_server_version: file.cursor,
    chain: file.cursor > 0 ? file.chain : '',
    upload_client_version: file.acked,
    compress: true,
  };
}

export function unbindOf(session: number): ClientFrame {
  return { type: 'unbind', session };
}

/** The state of `presence`. Raises BadFrame. */
export function peopleOf(state: unknown): readonly PersonShown[] {
  const found = v.safeParse(PeopleShape, state);
  if (!found.success) throw new BadFrame('a state of presence of another shape');
  return found.output.people;
}

/** What came is not what this client and the server agreed on. */
export class BadFrame extends Error {
  override readonly name = 'BadFrame';
}

/** Null for a type of frame that this client does not know, or needs not. Raises BadFrame. */
export async function read(text: string): Promise<ServerFrame | null> {
  const named = v.safeParse(Named, parsed(text));
  if (!named.success) throw new BadFrame('no frame');
  if (!Known.options.some((option) => option.entries.type.literal === named.output.type))
    return null;
  const known = v.safeParse(Known, named.output);
  if (!known.success) throw new BadFrame(`a ${named.output.type} of another shape`);
  return known.output.type === 'download' ? unpacked(known.output) : known.output;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BadFrame('no JSON');
  }
}

async function unpacked({ packed, changes = [], ...rest }: Packable): Promise<Download> {
  if (packed === undefined) return { ...rest, changes };
  const found = v.safeParse(Changes, parsed(await inflated(packed)));
  if (!found.success) throw new BadFrame('a packed download of another shape');
  return { ...rest, changes: found.output };
}

/** Base64 of zlib (RFC 1950): what Compression Streams call deflate. */
async function inflated(packed: string): Promise<string> {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.codePointAt(0) ?? 0);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  try {
    return await new Response(stream).text();
  } catch {
    throw new BadFrame('what was packed cannot be unpacked');
  }
}
