// Made by `python -m signaling.http.api.pages` from the server's operations. Do not edit.
// Types only: what the HTTP API takes and answers, by operation.

export interface Allowed {
  readonly operation: Operation;
  readonly allowed: boolean;
}

export interface ChangedKeySet {
  readonly name?: string | null;
  readonly listing?: boolean | null;
  readonly enabled?: boolean | null;
}

export interface Done {
  readonly data: Message;
  readonly service: string;
  readonly status: number;
}

export interface Explanation {
  readonly operation: string;
  readonly allowed: boolean;
  readonly reason: string;
  readonly who: readonly string[];
  readonly bound: string | null;
  readonly until: number;
  readonly parts: readonly Part[];
}

export interface FieldProblem {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

export interface Finding {
  readonly kind: string;
  readonly seq: number;
  readonly text: string;
}

export interface GrantBody {
  readonly ttl?: unknown;
  readonly permissions?: unknown;
}

export interface GrantDone {
  readonly data: Granting;
  readonly service: string;
  readonly status: number;
}

export interface GrantedToken {
  readonly token: string;
}

export interface Granting {
  readonly message: string;
  readonly token: string;
}

export interface GroupView {
  readonly name: string;
  readonly rooms: readonly string[];
}

export interface HeadShown {
  readonly seq: number;
  readonly chain: string;
  readonly at: string;
  readonly key: string;
  readonly signature: string;
}

export interface JoinAnswer {
  readonly token: string;
  readonly url: string;
  readonly identity: string;
}

export interface JoinRequest {
  readonly room: string;
  readonly name: string;
}

export interface KeySetView {
  readonly id: string;
  readonly name: string;
  readonly subscribe_key: string;
  readonly publish_key: string;
  readonly secrets: readonly SecretView[];
  readonly listing: boolean;
  readonly enabled: boolean;
  readonly created_at: number;
}

export interface KeyShown {
  readonly id: string;
  readonly scope: string;
  readonly versions: readonly VersionShown[];
}

export type Kind = 'channels' | 'groups' | 'uuids';

export interface ListDone {
  readonly data: Listing;
  readonly service: string;
  readonly status: number;
}

export interface Listed {
  readonly id: string;
  readonly expires: number;
  readonly revoked: boolean;
  readonly grant: View;
}

export interface Listing {
  readonly message: string;
  readonly tokens: readonly Listed[];
  readonly next: string | null;
}

export interface MasterWish {
  readonly provider?: string;
  readonly reference?: string;
}

export interface Matched {
  readonly pattern: string;
  readonly gives: readonly string[];
}

export interface Message {
  readonly message: string;
}

export interface Moved {
  readonly moved: number;
  readonly failed: number;
}

export interface NewKeySet {
  readonly name: string;
  readonly listing?: boolean;
}

export interface NewSecret {
  readonly key_set: KeySetView;
  readonly secret_key: string;
}

export type Operation = 'add_reaction' | 'add_to_group' | 'delete_file' | 'delete_group' | 'delete_messages' | 'download_file' | 'get_all_channels' | 'get_all_users' | 'get_channel' | 'get_channel_members' | 'get_memberships' | 'get_reactions' | 'get_state' | 'get_user' | 'here_now' | 'history' | 'join_call' | 'list_files' | 'list_group' | 'message_counts' | 'moderate_call' | 'publish' | 'publish_in_call' | 'register_push' | 'remove_channel' | 'remove_channel_members' | 'remove_from_group' | 'remove_memberships' | 'remove_reaction' | 'remove_user' | 'send_file' | 'set_channel' | 'set_channel_members' | 'set_memberships' | 'set_state' | 'set_user' | 'signal' | 'subscribe' | 'subscribe_group' | 'subscribe_presence' | 'time' | 'typing' | 'unsubscribe' | 'unsubscribe_with_state' | 'where_now';

export interface Part {
  readonly kind: Kind;
  readonly name: string;
  readonly needs: readonly string[];
  readonly has: readonly string[];
  readonly explicit?: readonly string[];
  readonly patterns?: readonly Matched[];
  readonly enough: boolean;
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly request_id?: string;
  readonly errors?: readonly FieldProblem[];
}

export interface PublicKey {
  readonly name: string;
  readonly public_key: string;
}

export interface Question {
  readonly operation: Operation;
  readonly channels?: readonly string[];
  readonly groups?: readonly string[];
  readonly uuids?: readonly string[];
}

export interface RecordShown {
  readonly id: string;
  readonly at: string;
  readonly app: string;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly result: 'allowed' | 'denied' | 'failed';
  readonly code: string;
  readonly request_id: string;
  readonly token_id: string;
  readonly address: string;
  readonly details: Readonly<Record<string, string>>;
}

export interface RoomsBody {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

export interface Rotation {
  readonly overlap_seconds?: number;
}

export interface SecretView {
  readonly id: string;
  readonly created_at: number;
  readonly retires_at: number | null;
}

export interface Sotto {
  readonly api: string;
  readonly socket: string;
  readonly livekit: string;
  readonly openapi: string;
  readonly asyncapi: string;
  readonly versions: Versions;
  readonly features: Readonly<Record<string, boolean>>;
}

export interface Standing {
  readonly head: HeadShown | null;
  readonly keys: readonly PublicKey[];
}

export type State = 'active' | 'decrypt_only' | 'destroyed' | 'disabled' | 'pre_active' | 'scheduled';

export interface Verdict {
  readonly good: boolean;
  readonly records: number;
  readonly heads: number;
  readonly signed_to: number;
  readonly unsigned: number;
  readonly findings: readonly Finding[];
}

export interface VersionShown {
  readonly version: number;
  readonly state: State;
  readonly created_at: string;
  readonly changed_at: string;
  readonly master?: number | null;
  readonly provider?: string | null;
  readonly reference?: string | null;
  readonly wraps?: number | null;
  readonly due_at?: string | null;
  readonly requested_by?: string | null;
  readonly approved_by?: string | null;
}

export interface Versions {
  readonly api: readonly string[];
  readonly sync: readonly string[];
  readonly livekit: readonly string[];
}

export interface View {
  readonly version: number;
  readonly timestamp: number;
  readonly ttl: number;
  readonly authorized_uuid: string | null;
  readonly resources: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, boolean>>>>>>;
  readonly patterns: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, boolean>>>>>>;
  readonly meta: Readonly<Record<string, string | number | boolean | null>>;
}

/** Every operation: where it is, what it takes, what it answers. */
export interface Operations {
  activateKeyVersion: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/activate';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  approveKeyDestruction: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/destruction/approval';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  cancelKeyDestruction: {
    method: 'DELETE';
    path: '/api/v1/keys/{key_id}/versions/{version}/destruction';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  changeGroup: {
    method: 'POST';
    path: '/api/v1/access/groups/{group}';
    body: RoomsBody;
    query: {
      readonly uuid?: string | null;
    };
    answer: GroupView;
  };
  changeKeySet: {
    method: 'PATCH';
    path: '/api/v1/access/key-sets/{key_set}';
    body: ChangedKeySet;
    query: undefined;
    answer: KeySetView;
  };
  checkAccess: {
    method: 'POST';
    path: '/api/v1/access/check';
    body: Question;
    query: {
      readonly uuid?: string | null;
    };
    answer: Allowed;
  };
  createKeySet: {
    method: 'POST';
    path: '/api/v1/access/key-sets';
    body: NewKeySet;
    query: undefined;
    answer: NewSecret;
  };
  deleteGroup: {
    method: 'DELETE';
    path: '/api/v1/access/groups/{group}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  deleteKeySet: {
    method: 'DELETE';
    path: '/api/v1/access/key-sets/{key_set}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  disableKeyVersion: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/disable';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  enableKeyVersion: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/enable';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  explainAccess: {
    method: 'POST';
    path: '/v3/pam/{subkey}/explain';
    body: undefined;
    query: {
      readonly timestamp?: string;
      readonly signature?: string;
      readonly nonce?: string;
      readonly after?: string;
      readonly limit?: string;
    };
    answer: Explanation;
  };
  exportAudit: {
    method: 'GET';
    path: '/api/v1/audit/export';
    body: undefined;
    query: {
      readonly actor?: string;
      readonly action?: string;
      readonly target?: string;
      readonly result?: 'allowed' | 'denied' | 'failed' | null;
      readonly code?: string;
      readonly request_id?: string;
      readonly since?: string | null;
      readonly until?: string | null;
      readonly format?: 'csv' | 'ndjson';
    };
    answer: Blob;
  };
  findPasswordChange: {
    method: 'GET';
    path: '/.well-known/change-password';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  generateKeyVersion: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  getAuditHead: {
    method: 'GET';
    path: '/api/v1/audit/head';
    body: undefined;
    query: undefined;
    answer: Standing;
  };
  getGroup: {
    method: 'GET';
    path: '/api/v1/access/groups/{group}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: GroupView;
  };
  getKey: {
    method: 'GET';
    path: '/api/v1/keys/{key_id}';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  getKeySet: {
    method: 'GET';
    path: '/api/v1/access/key-sets/{key_set}';
    body: undefined;
    query: undefined;
    answer: KeySetView;
  };
  grantToken: {
    method: 'POST';
    path: '/v3/pam/{subkey}/grant';
    body: undefined;
    query: {
      readonly timestamp?: string;
      readonly signature?: string;
      readonly nonce?: string;
      readonly after?: string;
      readonly limit?: string;
    };
    answer: GrantDone;
  };
  grantTokenAsAdministrator: {
    method: 'POST';
    path: '/api/v1/access/key-sets/{key_set}/tokens';
    body: GrantBody;
    query: undefined;
    answer: GrantedToken;
  };
  joinAsGuest: {
    method: 'POST';
    path: '/api/join';
    body: JoinRequest;
    query: undefined;
    answer: JoinAnswer;
  };
  listAuditRecords: {
    method: 'GET';
    path: '/api/v1/audit';
    body: undefined;
    query: {
      readonly actor?: string;
      readonly action?: string;
      readonly target?: string;
      readonly result?: 'allowed' | 'denied' | 'failed' | null;
      readonly code?: string;
      readonly request_id?: string;
      readonly since?: string | null;
      readonly until?: string | null;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly RecordShown[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listKeySets: {
    method: 'GET';
    path: '/api/v1/access/key-sets';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly KeySetView[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listKeys: {
    method: 'GET';
    path: '/api/v1/keys';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly KeyShown[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listTokens: {
    method: 'GET';
    path: '/v3/pam/{subkey}/grants';
    body: undefined;
    query: {
      readonly timestamp?: string;
      readonly signature?: string;
      readonly nonce?: string;
      readonly after?: string;
      readonly limit?: string;
    };
    answer: ListDone;
  };
  parseToken: {
    method: 'POST';
    path: '/v3/pam/{subkey}/parse';
    body: undefined;
    query: {
      readonly timestamp?: string;
      readonly signature?: string;
      readonly nonce?: string;
      readonly after?: string;
      readonly limit?: string;
    };
    answer: View;
  };
  readAsyncApi: {
    method: 'GET';
    path: '/api/asyncapi.json';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readOpenApi: {
    method: 'GET';
    path: '/api/openapi.json';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readProblem: {
    method: 'GET';
    path: '/problems/{code}';
    body: undefined;
    query: undefined;
    answer: Blob;
  };
  readRelatedOrigins: {
    method: 'GET';
    path: '/.well-known/webauthn';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readSecurityContact: {
    method: 'GET';
    path: '/.well-known/security.txt';
    body: undefined;
    query: undefined;
    answer: Blob;
  };
  readServer: {
    method: 'GET';
    path: '/.well-known/sotto';
    body: undefined;
    query: undefined;
    answer: Sotto;
  };
  retireSecret: {
    method: 'DELETE';
    path: '/api/v1/access/key-sets/{key_set}/secrets/{secret}';
    body: undefined;
    query: undefined;
    answer: KeySetView;
  };
  revokeToken: {
    method: 'DELETE';
    path: '/v3/pam/{subkey}/grant/{token}';
    body: undefined;
    query: {
      readonly timestamp?: string;
      readonly signature?: string;
      readonly nonce?: string;
      readonly after?: string;
      readonly limit?: string;
    };
    answer: Done;
  };
  rewrapKeys: {
    method: 'POST';
    path: '/api/v1/keys/rewrap';
    body: undefined;
    query: undefined;
    answer: Moved;
  };
  rotateKey: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/rotate';
    body: MasterWish;
    query: undefined;
    answer: KeyShown;
  };
  rotateKeySet: {
    method: 'POST';
    path: '/api/v1/access/key-sets/{key_set}/rotate';
    body: Rotation;
    query: undefined;
    answer: NewSecret;
  };
  scheduleKeyDestruction: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/destruction';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  verifyAudit: {
    method: 'GET';
    path: '/api/v1/audit/verification';
    body: undefined;
    query: undefined;
    answer: Verdict;
  };
}
