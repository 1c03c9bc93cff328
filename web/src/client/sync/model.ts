// What rooms are made of, as it is on the wire: ops, places of a log, and what they fold into. Types
// only; the server's are signaling/chat/{ops,bodies,state}.py, and tests/golden/chat holds both
// to the same. A field that has its default may be missing, as in the server's JSON.

export type Part = 'owner' | 'moderator' | 'member' | 'guest' | 'service' | 'banned' | 'none';
export type Scalar = boolean | number | string | null;
/** Clock, ident, version: the highest writes a register last. */
export type Stamp = readonly [number, string, number];

interface FileRef extends Attachment {
  readonly [field: string]: unknown;
}

interface Plain {
  readonly format: 'm.plain.v1';
  readonly text?: string;
  readonly files?: readonly FileRef[];
  readonly options?: readonly string[];
}

export interface Sealed {
  readonly format: 'm.e2ee.v1';
  readonly [field: string]: unknown;
}

export type Body = Plain | Sealed;

export interface Mentions {
  readonly accounts?: readonly string[];
  readonly room?: boolean;
}

interface Poll {
  readonly options: number;
  readonly multiple?: boolean;
  readonly closes_at?: string | null;
}

export interface Attachment {
  readonly id: string;
  readonly size?: number;
  readonly voice?: boolean;
}

export interface Forwarded {
  readonly room: string;
  readonly id: string;
  readonly account?: string | null;
}

export type Settings = Readonly<Record<string, Scalar>>;

export interface Create {
  readonly type: 'create';
  readonly kind: string;
  readonly mode: string;
  readonly name?: string;
  readonly topic?: string;
  readonly settings?: Settings;
  readonly custom?: Readonly<Record<string, Scalar>>;
}

export interface Post {
  readonly type: 'post';
  readonly id: string;
  readonly body: Body;
  readonly kind?: string;
  readonly parent?: string | null;
  readonly reply_to?: string | null;
  readonly mentions?: Mentions | null;
  readonly attachments?: readonly Attachment[];
  readonly custom?: Readonly<Record<string, Scalar>>;
  readonly silent?: boolean;
  readonly ttl?: number | null;
  readonly forwarded?: Forwarded | null;
  readonly poll?: Poll | null;
}

export interface Edit {
  readonly type: 'edit';
  readonly id: string;
  readonly body: Body;
  readonly mentions?: Mentions | null;
  readonly attachments?: readonly Attachment[] | null;
}

interface Delete {
  readonly type: 'delete';
  readonly id: string;
  readonly reason?: string;
}

export interface React {
  readonly type: 'react';
  readonly id: string;
  readonly emoji: string;
  readonly on?: boolean;
  readonly body?: Sealed | null;
}

interface Pin {
  readonly type: 'pin';
  readonly id: string;
  readonly on?: boolean;
}

export interface Vote {
  readonly type: 'vote';
  readonly id: string;
  readonly choices?: readonly number[];
}

interface Close {
  readonly type: 'close';
  readonly id: string;
}

interface Member {
  readonly type: 'member';
  readonly account: string;
  readonly part: Part;
  readonly reason?: string;
}

/** Names what it changes: the names of the room, or of its settings. */
interface SetOp {
  readonly type: 'set';
  readonly [field: string]: unknown;
}

interface Mode {
  readonly type: 'mode';
  readonly mode?: string;
}

export interface Call {
  readonly type: 'call';
  readonly id: string;
  readonly state: string;
  readonly accounts?: readonly string[];
  readonly seconds?: number;
  readonly encryption?: string;
}

interface Erase {
  readonly type: 'erase';
  readonly seqs: readonly number[];
  readonly ids?: readonly string[];
  readonly reason?: string;
}

interface Void {
  readonly type: 'void';
  readonly code: string;
  readonly was?: string;
}

interface Erased {
  readonly type: 'erased';
}

/** By their `type`. */
export interface Ops {
  readonly create: Create;
  readonly post: Post;
  readonly edit: Edit;
  readonly delete: Delete;
  readonly react: React;
  readonly pin: Pin;
  readonly vote: Vote;
  readonly close: Close;
  readonly member: Member;
  readonly set: SetOp;
  readonly mode: Mode;
  readonly call: Call;
  readonly erase: Erase;
  readonly void: Void;
  readonly erased: Erased;
}

export type RoomOp = Ops[keyof Ops];

/** An op of any partition: of a room, of an account's own data, or of a server that is newer. */
export interface AnyOp {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** One place of a log as it came. Of a room it says whose it is, by the server's word. */
export interface Place {
  readonly seq: number;
  readonly ident: string;
  readonly version: number;
  readonly clock: number;
  readonly at: string;
  readonly op: AnyOp;
  readonly account?: string | null | undefined;
  readonly part?: string | undefined;
  readonly expires_at?: string | null | undefined;
}

/** One place of a room's log whose op this client knows. */
export interface Entry<Op extends RoomOp = RoomOp> {
  readonly seq: number;
  readonly ident: string;
  readonly version: number;
  readonly clock: number;
  readonly at: string;
  readonly op: Op;
  readonly account: string | null;
  readonly part: Part;
  readonly expires_at?: string | null | undefined;
}

interface MemberState {
  readonly part: Part;
  readonly seq: number;
  readonly since: number;
  readonly at: string | null;
}

interface PinState {
  readonly stamp: Stamp;
  readonly on: boolean;
}

/** As the server has it in a bootstrap; what has its default is not there. */
export interface RoomState {
  seq?: number;
  clock?: number;
  kind?: string;
  mode?: string;
  mode_seq?: number;
  creator?: string;
  created_at?: string;
  name?: string;
  topic?: string;
  avatar?: string;
  custom?: Readonly<Record<string, Scalar>>;
  settings?: Settings;
  members?: Record<string, MemberState>;
  pins?: Record<string, PinState>;
  changed?: number;
  stamps?: Record<string, Stamp>;
}
