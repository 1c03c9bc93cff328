// What a room's log folds into: messages as they stand. Types only, as signaling/chat/reduce.py has them; a
// field that has its default is not there.
import type { Attachment, Body, Forwarded, Mentions, RoomState, Scalar, Sealed } from './model';

export interface Said {
  readonly seq: number;
  readonly at: string;
  readonly body: Body;
}

export interface Deleted {
  readonly by: string | null;
  readonly at: string;
  readonly reason?: string;
}

export interface Reaction {
  readonly emoji: string;
  readonly accounts: readonly string[];
  readonly body?: Sealed;
}

export interface PollView {
  readonly multiple: boolean;
  readonly closed: boolean;
  /** By option: the accounts that chose it, sorted. */
  readonly votes: readonly (readonly string[])[];
  readonly closes_at?: string;
}

export interface ThreadView {
  readonly replies: number;
  readonly last_seq: number;
  readonly accounts: readonly string[];
}

export interface CallView {
  readonly state: string;
  readonly accounts: readonly string[];
  readonly seconds: number;
  readonly encryption: string;
}

/** One message as it stands. Deleted ones keep their place and lose what they said. */
export interface MessageView {
  readonly id: string;
  readonly seq: number;
  readonly account: string | null;
  readonly at: string;
  readonly kind?: string;
  readonly body?: Body;
  readonly parent?: string;
  readonly reply_to?: string;
  readonly mentions?: Mentions;
  readonly attachments?: readonly Attachment[];
  readonly custom?: Readonly<Record<string, Scalar>>;
  readonly silent?: boolean;
  readonly forwarded?: Forwarded;
  readonly expires_at?: string;
  readonly edited_at?: string;
  readonly edits?: readonly Said[];
  readonly deleted?: Deleted;
  readonly reactions?: readonly Reaction[];
  readonly pinned?: boolean;
  readonly poll?: PollView;
  readonly thread?: ThreadView;
  readonly call?: CallView;
}

export interface RoomView {
  readonly state: RoomState;
  readonly messages: readonly MessageView[];
}
