// Made by `python -m signaling.http.api.pages` from the server's operations. Do not edit.
// Types only: what the HTTP API takes and answers, by operation.

export interface Accept {
  readonly secret: string;
}

export interface AcceptWish {
  readonly call?: string | null;
  readonly name?: string;
}

export interface AccountAnswer {
  readonly id: string;
  readonly login: string;
  readonly name: string;
  readonly kind: string;
  readonly roles: readonly string[];
  readonly disabled: boolean;
  readonly second_factor: boolean;
  readonly created_at: number;
  readonly external_id?: string;
  readonly tags?: readonly string[];
}

export interface AccountChange {
  readonly roles?: readonly Role[] | null;
  readonly disabled?: boolean | null;
}

export interface AdmitWish {
  readonly accounts?: readonly string[];
}

export interface AgainCode {
  readonly ticket: string;
  readonly code: string;
}

export interface AgainPasskey {
  readonly ticket: string;
  readonly credential: Readonly<Record<string, unknown>>;
}

export interface AgainPassword {
  readonly password: string;
}

export interface Allowed {
  readonly operation: Operation;
  readonly allowed: boolean;
}

export interface Amqp {
  readonly type: 'amqp';
  readonly host: string;
  readonly port?: number;
  readonly tls?: boolean;
  readonly vhost?: string;
  readonly user: string;
  readonly password: string;
  readonly exchange?: string;
  readonly routing_key?: string;
}

export type ApnsEnvironment = 'production' | 'sandbox';

export interface Attachment {
  readonly id: string;
  readonly size?: number;
  readonly voice?: boolean;
}

export interface Ballot {
  readonly choices?: readonly number[];
}

export type Basis = 'consent' | 'contract' | 'legal_obligation' | 'legitimate_interests' | 'public_task' | 'vital_interests';

export interface BlockedAnswer {
  readonly account: string;
}

export interface BotAnswer {
  readonly id: string;
  readonly name: string;
  readonly disabled: boolean;
  readonly created_at: number;
}

export interface BotTokenAnswer {
  readonly id: string;
  readonly label: string;
  readonly scopes: readonly string[];
  readonly created_at: number;
  readonly last_used_at: number;
  readonly expires_at: number;
  readonly token?: string | null;
}

export interface BotTokenList {
  readonly items: readonly BotTokenAnswer[];
}

export interface CallAnswer {
  readonly id: string;
  readonly room: string;
  readonly state: Phase;
  readonly video: boolean;
  readonly waiting: boolean;
  readonly made_at: string;
  readonly caller?: string | null;
  readonly started_at?: string | null;
  readonly ended_at?: string | null;
  readonly seconds?: number;
  readonly outcome?: End | null;
  readonly mine?: signaling_calls_call_Outcome | null;
  readonly reject_token?: string | null;
  readonly callees?: readonly CalleeAnswer[];
  readonly inside?: readonly string[];
  readonly took_part?: readonly string[];
  readonly encryption?: CallPolicy;
}

export interface CallBegin {
  readonly ring?: boolean | null;
  readonly video?: boolean;
  readonly name?: string;
}

export interface CallOp {
  readonly type: 'call';
  readonly id: string;
  readonly state: CallState;
  readonly accounts?: readonly string[];
  readonly seconds?: number;
  readonly encryption?: CallPolicy;
}

export type CallPolicy = 'none' | 'required';

export type CallState = 'cancelled' | 'ended' | 'missed' | 'rejected' | 'started';

export interface CallTokenAnswer {
  readonly id: string;
  readonly token: string;
  readonly url: string;
  readonly identity: string;
  readonly expires_in: number;
  readonly ice_servers: readonly Relay[];
}

export interface CallView {
  readonly state: CallState;
  readonly accounts: readonly string[];
  readonly seconds: number;
  readonly encryption: CallPolicy;
}

export interface CallWish {
  readonly room: string;
  readonly name?: string;
}

export interface CalleeAnswer {
  readonly account: string;
  readonly outcome: signaling_calls_call_Outcome;
  readonly by: string;
  readonly until: string;
  readonly at?: string | null;
}

export interface CancelWish {
  readonly call?: string | null;
  readonly accounts?: readonly string[];
}

export interface CertificateAnswer {
  readonly certificate: string;
  readonly key: string;
  readonly signature: string;
}

export interface ChangedKeySet {
  readonly name?: string | null;
  readonly listing?: boolean | null;
  readonly enabled?: boolean | null;
}

export interface ChangedRoom {
  readonly name?: string;
  readonly topic?: string;
  readonly avatar?: string | null;
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
  readonly join?: Join;
  readonly post?: Who;
  readonly invite?: Who;
  readonly pin?: Who;
  readonly mention_room?: Who;
  readonly preview?: boolean;
  readonly since_join?: boolean;
  readonly receipts?: boolean;
  readonly ttl?: number | null;
  readonly retention?: number | null;
  readonly call_encryption?: CallPolicy;
  readonly lobby?: Lobby;
  readonly phi?: boolean;
  readonly peek?: boolean;
}

export interface ChangedRoute {
  readonly to?: ToHttps | S3 | Sqs | Syslog | Amqp | Kafka;
  readonly name?: string;
  readonly filter?: EventFilter;
  readonly batch?: number;
  readonly batch_seconds?: number;
  readonly enabled?: boolean;
}

export interface ChangedWebhook {
  readonly url?: string;
  readonly name?: string;
  readonly filter?: EventFilter;
  readonly transient?: boolean;
  readonly enabled?: boolean;
}

export interface ClientChange {
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly redirect_uris?: readonly string[];
  readonly grants?: readonly GrantType[];
  readonly trusted?: boolean;
  readonly introspects?: boolean;
  readonly dpop?: boolean;
  readonly disabled?: boolean;
}

export interface ClientLog {
  readonly consent: boolean;
  readonly lines: readonly Line[];
  readonly client?: string;
  readonly note?: string;
}

export interface ClientLogAnswer {
  readonly id: string;
  readonly account: string;
  readonly at: string;
  readonly expires_at: string;
  readonly client: string;
  readonly note: string;
  readonly lines: readonly Line[];
}

export interface ClientLogHead {
  readonly id: string;
  readonly account: string;
  readonly at: string;
  readonly expires_at: string;
  readonly client: string;
  readonly lines: number;
}

export interface ClientView {
  readonly id: string;
  readonly name: string;
  readonly created_at: number;
  readonly confidential: boolean;
  readonly scopes: readonly string[];
  readonly redirect_uris: readonly string[];
  readonly grants: readonly string[];
  readonly trusted: boolean;
  readonly introspects: boolean;
  readonly dpop: boolean;
  readonly disabled: boolean;
  readonly secret?: string | null;
}

export interface Close {
  readonly type: 'close';
  readonly id: string;
}

export type Code = 'access_denied' | 'access_token_expired' | 'access_token_invalid' | 'access_token_revoked' | 'archive_invalid' | 'archive_tampered' | 'archive_too_large' | 'author_mismatch' | 'bad_request' | 'bad_sdp' | 'banned' | 'checksum_mismatch' | 'conflict' | 'consent_required' | 'cursor_invalid' | 'draining' | 'encryption_unavailable' | 'fields_invalid' | 'file_mode_mismatch' | 'file_not_ready' | 'file_quarantined' | 'file_too_complex' | 'file_type_mismatch' | 'file_type_refused' | 'file_unreadable' | 'grant_invalid' | 'idempotency_in_flight' | 'idempotency_mismatch' | 'insufficient_scope' | 'integrity_error' | 'internal' | 'key_destroyed' | 'key_in_use' | 'key_inactive' | 'key_unknown' | 'last_owner' | 'link_invalid' | 'login_refused' | 'login_taken' | 'message_not_found' | 'method_not_allowed' | 'not_acceptable' | 'not_found' | 'not_permitted' | 'origin_refused' | 'parameter_duplicated' | 'participant_not_found' | 'password_common' | 'password_guessable' | 'password_too_long' | 'password_too_short' | 'plaintext_refused' | 'precondition_failed' | 'precondition_required' | 'provider_refused' | 'quota_exceeded' | 'rate_limited' | 'reauthentication_required' | 'request_replayed' | 'room_full' | 'room_not_found' | 'second_approver_needed' | 'second_factor_needed' | 'sign_in_failed' | 'sign_up_closed' | 'signature_invalid' | 'timestamp_skewed' | 'tls_required' | 'token_expired' | 'token_invalid' | 'token_missing' | 'token_revoked' | 'too_large' | 'track_not_found' | 'tus_version_unsupported' | 'unavailable' | 'unimplemented' | 'unsupported_media_type' | 'upload_busy' | 'upload_incomplete' | 'upload_offset_mismatch' | 'version_unsupported';

export interface CodeOnly {
  readonly code: string;
}

export interface CodeStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly ticket: string;
  readonly code: string;
}

export interface Codes {
  readonly recovery_codes: readonly string[];
}

export interface ConsentAnswer {
  readonly purpose: string;
  readonly version: number;
  readonly sha256: string;
  readonly given: boolean;
  readonly at: string;
}

export interface ConsentList {
  readonly items: readonly ConsentView[];
}

export interface ConsentView {
  readonly client: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly granted_at: number;
}

export interface ConsentWish {
  readonly version: number;
  readonly sha256: string;
}

export interface ConsentsAnswer {
  readonly standing: readonly string[];
  readonly acts: readonly ConsentAnswer[];
}

export interface Count {
  readonly count: number;
}

export interface Counts {
  readonly messages?: number;
  readonly mentions?: number;
  readonly threads?: Readonly<Record<string, number>>;
  readonly more?: boolean;
  readonly marked?: boolean;
}

export interface Create {
  readonly type: 'create';
  readonly kind: signaling_chat_ops_Kind;
  readonly mode: Mode;
  readonly name?: string;
  readonly topic?: string;
  readonly settings?: Settings;
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
}

export interface Current {
  readonly account: string | null;
  readonly kind: string;
  readonly session: string | null;
  readonly device: string | null;
  readonly client: string | null;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly mfa: boolean;
  readonly authenticated_at: number;
  readonly expires_at: number;
}

export interface Decision {
  readonly accept: boolean;
}

export interface Delete {
  readonly type: 'delete';
  readonly id: string;
  readonly reason?: string;
}

export interface Deleted {
  readonly by: string | null;
  readonly at: string;
  readonly reason?: string;
}

export interface DeliveredUpto {
  readonly seq: number;
}

export interface DenyWish {
  readonly account: string;
}

export interface DeviceAnswer {
  readonly id: string;
  readonly name: string;
  readonly network: string;
  readonly created_at: number;
  readonly seen_at: number;
  readonly current: boolean;
}

export interface Devices {
  readonly items: readonly DeviceAnswer[];
}

export interface DirectAnswer {
  readonly room: string;
  readonly message: MessageView;
}

export interface Done {
  readonly data: Message;
  readonly service: string;
  readonly status: number;
}

export interface Draft {
  readonly type: 'draft';
  readonly room: string;
  readonly parent?: string | null;
  readonly body?: Plain | Sealed | null;
}

export interface DraftWish {
  readonly body: Plain | Sealed;
  readonly parent?: string | null;
}

export interface Due {
  readonly room: string;
  readonly messages: number;
  readonly files: number;
  readonly held: boolean;
}

export interface Edit {
  readonly type: 'edit';
  readonly id: string;
  readonly body: Plain | Sealed;
  readonly mentions?: Mentions | null;
  readonly attachments?: readonly Attachment[] | null;
}

export interface EditedMessage {
  readonly text?: string | null;
  readonly body?: Plain | Sealed | null;
  readonly mentions?: Mentions | null;
  readonly attachments?: readonly Attachment[] | null;
}

export type End = 'cancelled' | 'ended' | 'missed' | 'nothing' | 'rejected';

export interface Ended {
  readonly ended: number;
}

export interface EnrolPasskeyStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly ticket: string;
  readonly registration: string;
  readonly credential: Readonly<Record<string, unknown>>;
  readonly name?: string;
}

export interface Entry {
  readonly seq: number;
  readonly ident: string;
  readonly version: number;
  readonly clock: number;
  readonly at: string;
  readonly account: string | null;
  readonly part: signaling_chat_ops_Part;
  readonly op: Create | Post | Edit | Delete | React | Pin | Vote | Close | Set | Member | ToE2ee | CallOp | Erase | Void | Erased;
  readonly expires_at?: string | null;
}

export interface Erase {
  readonly type: 'erase';
  readonly seqs: readonly number[];
  readonly ids?: readonly string[];
  readonly reason?: string;
}

export interface Erased {
  readonly type: 'erased';
}

export interface ErasureAnswer {
  readonly id: string;
  readonly kind: signaling_compliance_erasure_port_Kind;
  readonly state: signaling_compliance_erasure_port_State;
  readonly step: number;
  readonly done: number;
  readonly total: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly asked_at: string;
  readonly finished_at: string | null;
  readonly reason: string | null;
  readonly dry_run: boolean;
}

export interface ErasureWish {
  readonly messages?: readonly string[];
  readonly first_seq?: number | null;
  readonly last_seq?: number | null;
}

export interface EventFilter {
  readonly events?: readonly string[];
  readonly accounts?: readonly string[];
  readonly kinds?: readonly string[];
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
  readonly jsonpath?: string;
}

export interface Explanation {
  readonly operation: string;
  readonly allowed: boolean;
  readonly reason: string;
  readonly who: readonly string[];
  readonly bound: string | null;
  readonly until: number;
  readonly parts: readonly signaling_access_explain_Part[];
}

export interface ExportAnswer {
  readonly id: string;
  readonly reason: string;
  readonly room: string | null;
  readonly account: string | null;
  readonly asked_by: string;
  readonly asked_at: string;
  readonly approved_by: string | null;
  readonly until: string | null;
  readonly fetched_at: string | null;
}

export interface ExportsAnswer {
  readonly items: readonly ExportAnswer[];
}

export interface Extension {
  readonly reason: string;
}

export interface Farewell {
  readonly confirm: string;
}

export interface FieldProblem {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

export interface Figure {
  readonly count: number;
  readonly people: number;
}

export interface FileInfo {
  readonly id: string;
  readonly state: signaling_files_port_State;
  readonly room: string;
  readonly media_type: string;
  readonly size: number;
  readonly offset?: number | null;
  readonly key?: string;
  readonly name?: string;
  readonly sha256?: string;
  readonly width?: number | null;
  readonly height?: number | null;
  readonly duration?: number | null;
  readonly voice?: boolean;
  readonly waveform?: readonly number[];
  readonly latitude?: number | null;
  readonly longitude?: number | null;
  readonly opaque?: boolean;
  readonly scanned?: boolean;
  readonly reason?: string;
  readonly shapes?: readonly Shape[];
}

export interface FileRef {
  readonly id: string;
  readonly key?: string;
  readonly name?: string;
  readonly media_type?: string;
  readonly size?: number;
  readonly sha256?: string;
  readonly width?: number | null;
  readonly height?: number | null;
  readonly duration?: number | null;
  readonly voice?: boolean;
  readonly waveform?: readonly number[];
  readonly blurhash?: string;
  readonly caption?: string;
  readonly latitude?: number | null;
  readonly longitude?: number | null;
}

export interface Finding {
  readonly kind: string;
  readonly seq: number;
  readonly text: string;
}

export interface ForeignPerson {
  readonly id: string;
  readonly name: string;
  readonly account: string | null;
}

export type Format = 'mattermost' | 'slack' | 'sotto';

export interface ForwardWish {
  readonly to: string;
}

export interface Forwarded {
  readonly room: string;
  readonly id: string;
  readonly account?: string | null;
}

export interface Found {
  readonly account: string;
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

export type GrantType = 'authorization_code' | 'client_credentials' | 'refresh_token' | 'urn:ietf:params:oauth:grant-type:device_code';

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

export interface Grouped {
  readonly groups: Readonly<Record<string, Figure>>;
  readonly withheld: number;
}

export interface GuestLinkWish {
  readonly room: string;
  readonly uses?: number;
  readonly seconds?: number | null;
  readonly label?: string;
}

export interface GuestStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly link: string;
  readonly name?: string;
}

export interface HeadShown {
  readonly seq: number;
  readonly chain: string;
  readonly at: string;
  readonly key: string;
  readonly signature: string;
}

export interface Here {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
}

export interface HideWish {
  readonly seq: number;
}

export interface HoldAnswer {
  readonly id: string;
  readonly reason: string;
  readonly rooms: readonly string[];
  readonly accounts: readonly string[];
  readonly placed_by: string;
  readonly placed_at: string;
  readonly release_asked_by: string | null;
  readonly released_by: string | null;
  readonly released_at: string | null;
}

export interface ImportAnswer {
  readonly id: string;
  readonly format: Format;
  readonly label: string;
  readonly state: signaling_compliance_imports_port_State;
  readonly size: number;
  readonly received: number;
  readonly sha256: string | null;
  readonly asked_by: string;
  readonly asked_at: string;
  readonly finished_at: string | null;
  readonly done: number;
  readonly total: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly rooms: readonly string[];
  readonly problem: ImportProblem | null;
}

export interface ImportProblem {
  readonly code: Code;
  readonly detail: string;
}

export interface InletAnswer {
  readonly id: string;
  readonly name: string;
  readonly room: string;
  readonly bot: string;
  readonly created_at: number;
  readonly url?: string | null;
}

export interface Invitation {
  readonly roles?: readonly Role[];
  readonly uses?: number;
  readonly seconds?: number | null;
  readonly label?: string;
}

export interface Invite {
  readonly id: string;
  readonly room: string;
  readonly maker: string;
  readonly made_at: string;
  readonly expires_at: string;
  readonly uses: number;
  readonly used?: number;
}

export interface InviteWish {
  readonly expires_in?: number;
  readonly uses?: number;
}

export type Join = 'invite' | 'open' | 'request';

export interface JoinRequest {
  readonly room: string;
  readonly name: string;
}

export interface Kafka {
  readonly type: 'kafka';
  readonly servers: readonly string[];
  readonly topic: string;
  readonly tls?: boolean;
  readonly user?: string;
  readonly password?: string;
  readonly mechanism?: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
}

export interface KeyReplaced {
  readonly number: number;
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

export interface LetterAnswer {
  readonly id: string;
  readonly room: string;
  readonly reason: string;
  readonly at: number;
}

export interface Line {
  readonly at: number;
  readonly level: 'debug' | 'error' | 'info' | 'warning';
  readonly text: string;
}

export interface LinkMade {
  readonly id: string;
  readonly url: string;
}

export interface LinkOnly {
  readonly link: string;
}

export interface LinkProviderStep {
  readonly ticket: string;
  readonly state: string;
  readonly code: string;
  readonly iss?: string | null;
}

export interface LinkWish {
  readonly key?: string;
  readonly variant?: Variant;
  readonly download?: boolean;
}

export interface ListDone {
  readonly data: Listing;
  readonly service: string;
  readonly status: number;
}

export interface Listing {
  readonly message: string;
  readonly tokens: readonly signaling_access_grants_Listed[];
  readonly next: string | null;
}

export type Lobby = 'everybody' | 'guests' | 'off';

export interface LobbyAnswer {
  readonly call: string;
  readonly waiting: readonly Waiting[];
  readonly admitted: readonly string[];
  readonly denied: readonly string[];
}

export interface LogAnswer {
  readonly entries: readonly Entry[];
  readonly head: number;
  readonly floor: number;
  readonly chain: string;
}

export interface Lookup {
  readonly pseudonym: string;
}

export interface MailWish {
  readonly mail: string;
}

export interface MasterWish {
  readonly provider?: string;
  readonly reference?: string;
}

export interface Matched {
  readonly pattern: string;
  readonly gives: readonly string[];
}

export interface Member {
  readonly type: 'member';
  readonly account: string;
  readonly part: signaling_chat_ops_Part;
  readonly reason?: string;
}

export interface MemberAnswer {
  readonly account: string;
  readonly part: signaling_chat_ops_Part;
  readonly since: string | null;
}

export interface Mentions {
  readonly accounts?: readonly string[];
  readonly room?: boolean;
}

export interface Message {
  readonly message: string;
}

export interface MessageView {
  readonly id: string;
  readonly seq: number;
  readonly account: string | null;
  readonly at: string;
  readonly kind?: string;
  readonly body?: Plain | Sealed | null;
  readonly parent?: string | null;
  readonly reply_to?: string | null;
  readonly mentions?: Mentions | null;
  readonly attachments?: readonly Attachment[];
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
  readonly silent?: boolean;
  readonly forwarded?: Forwarded | null;
  readonly expires_at?: string | null;
  readonly edited_at?: string | null;
  readonly edits?: readonly Said[];
  readonly deleted?: Deleted | null;
  readonly reactions?: readonly Reaction[];
  readonly pinned?: boolean;
  readonly poll?: PollView | null;
  readonly thread?: ThreadView | null;
  readonly call?: CallView | null;
}

export type Metadata = Readonly<Record<string, unknown>>;

export type Mode = 'e2ee' | 'searchable' | 'transient';

export interface ModeWish {
  readonly mode: Mode;
}

export interface Moved {
  readonly moved: number;
  readonly failed: number;
}

export interface NewBot {
  readonly name: string;
}

export interface NewClient {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly redirect_uris?: readonly string[];
  readonly grants?: readonly GrantType[];
  readonly confidential?: boolean;
  readonly trusted?: boolean;
  readonly introspects?: boolean;
  readonly dpop?: boolean;
}

export interface NewExport {
  readonly reason: string;
  readonly room?: string | null;
  readonly account?: string | null;
}

export interface NewFile {
  readonly room: string;
  readonly size: number;
  readonly name?: string;
  readonly media_type?: string;
  readonly opaque?: boolean;
  readonly voice?: boolean;
  readonly keep_location?: boolean;
}

export interface NewHold {
  readonly reason: string;
  readonly rooms?: readonly string[];
  readonly accounts?: readonly string[];
}

export interface NewImport {
  readonly format: Format;
  readonly size: number;
  readonly label?: string;
  readonly sha256?: string;
}

export interface NewInlet {
  readonly room: string;
  readonly name: string;
  readonly bot?: string | null;
}

export interface NewInvite {
  readonly invite: Invite;
  readonly secret: string;
}

export interface NewKeySet {
  readonly name: string;
  readonly listing?: boolean;
}

export interface NewMessage {
  readonly id?: string | null;
  readonly text?: string | null;
  readonly body?: Plain | Sealed | null;
  readonly kind?: string;
  readonly parent?: string | null;
  readonly reply_to?: string | null;
  readonly mentions?: Mentions | null;
  readonly attachments?: readonly Attachment[];
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
  readonly silent?: boolean;
  readonly ttl?: number | null;
  readonly poll?: Poll | null;
}

export interface NewPasskey {
  readonly ticket: string;
  readonly credential: Readonly<Record<string, unknown>>;
  readonly name?: string;
}

export interface NewPassword {
  readonly password: string;
  readonly current?: string;
}

export interface NewRoom {
  readonly kind?: signaling_chat_ops_Kind;
  readonly mode?: Mode;
  readonly name?: string;
  readonly topic?: string;
  readonly settings?: Settings;
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
  readonly members?: readonly string[];
}

export interface NewRoute {
  readonly to: ToHttps | S3 | Sqs | Syslog | Amqp | Kafka;
  readonly name?: string;
  readonly room?: string | null;
  readonly filter?: EventFilter;
  readonly transient?: boolean;
  readonly batch?: number;
  readonly batch_seconds?: number;
}

export interface NewSecret {
  readonly key_set: KeySetView;
  readonly secret_key: string;
}

export interface NewWebhook {
  readonly url: string;
  readonly name?: string;
  readonly room?: string | null;
  readonly filter?: EventFilter;
  readonly transient?: boolean;
}

export interface Noted {
  readonly external_id?: string;
  readonly tags?: readonly string[];
}

export interface NoticeAnswer {
  readonly text: string;
  readonly version: number;
  readonly sha256: string;
  readonly changed_at: string;
}

export interface NoticeWish {
  readonly text: string;
}

export type Notify = 'all' | 'mentions' | 'nothing';

export interface NotifyWish {
  readonly level: Notify;
}

export type Nudge = 'overdue' | 'soon';

export interface OAuthRefusal {
  readonly error: string;
  readonly error_description: string;
}

export interface ObjectionAnswer {
  readonly purpose: string;
  readonly at: string;
}

export type Operation = 'add_reaction' | 'add_to_group' | 'delete_file' | 'delete_group' | 'delete_messages' | 'download_file' | 'get_all_channels' | 'get_all_users' | 'get_channel' | 'get_channel_members' | 'get_memberships' | 'get_reactions' | 'get_state' | 'get_user' | 'here_now' | 'history' | 'join_call' | 'list_files' | 'list_group' | 'message_counts' | 'moderate_call' | 'publish' | 'publish_in_call' | 'register_push' | 'remove_channel' | 'remove_channel_members' | 'remove_from_group' | 'remove_memberships' | 'remove_reaction' | 'remove_user' | 'send_file' | 'set_channel' | 'set_channel_members' | 'set_memberships' | 'set_state' | 'set_user' | 'signal' | 'subscribe' | 'subscribe_group' | 'subscribe_presence' | 'time' | 'typing' | 'unsubscribe' | 'unsubscribe_with_state' | 'where_now';

export interface OutcomeWish {
  readonly outcome: signaling_chat_reports_Outcome;
}

export interface OwnAccount {
  readonly id: string;
  readonly login: string;
  readonly name: string;
  readonly mail: string;
  readonly kind: string;
  readonly roles: readonly string[];
  readonly password: boolean;
  readonly totp: boolean;
  readonly recovery_codes_left: number;
  readonly passkeys: readonly PasskeyAnswer[];
  readonly providers: readonly string[];
  readonly created_at: number;
  readonly external_id?: string;
  readonly tags?: readonly string[];
}

export interface OwnRequest {
  readonly kind: signaling_compliance_requests_tracker_Kind;
  readonly text: string;
}

export interface PaperRequest {
  readonly kind: signaling_compliance_requests_tracker_Kind;
  readonly text: string;
  readonly account?: string | null;
  readonly subject?: string | null;
  readonly received_at?: string | null;
}

export interface PartWish {
  readonly part?: signaling_chat_ops_Part;
  readonly reason?: string;
}

export interface PassAnswer {
  readonly token: string;
  readonly url: string;
  readonly identity: string;
  readonly expires_in: number;
}

export interface PassWish {
  readonly room: string;
  readonly name?: string;
}

export interface PasskeyAnswer {
  readonly id: string;
  readonly name: string;
  readonly created_at: number;
  readonly used_at: number | null;
  readonly synced: boolean;
}

export interface PasskeyBegin {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly ticket?: string | null;
}

export interface PasskeyOptions {
  readonly ticket: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface PasskeyStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly ticket: string;
  readonly credential: Readonly<Record<string, unknown>>;
}

export interface PasswordStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly login: string;
  readonly password: string;
}

export interface PeekAnswer {
  readonly items: readonly Peeked[];
}

export interface Peeked {
  readonly id: string;
  readonly account: string | null;
  readonly at: string;
  readonly kind: string;
  readonly text: string;
  readonly options?: readonly string[];
  readonly files?: readonly PeekedFile[];
  readonly parent?: string | null;
  readonly reply_to?: string | null;
  readonly edited?: boolean;
}

export interface PeekedFile {
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  readonly caption?: string;
}

export type Phase = 'ended' | 'idle' | 'ringing' | 'up';

export interface Pin {
  readonly type: 'pin';
  readonly id: string;
  readonly on?: boolean;
}

export interface Placeholder {
  readonly id: string;
  readonly name: string;
}

export interface PlaceholdersAnswer {
  readonly items: readonly Placeholder[];
}

export interface Plain {
  readonly format: 'm.plain.v1';
  readonly text?: string;
  readonly files?: readonly FileRef[];
  readonly options?: readonly string[];
}

export interface Policy {
  readonly messages?: number | null;
  readonly files?: number | null;
}

export interface Poll {
  readonly options: number;
  readonly multiple?: boolean;
  readonly closes_at?: string | null;
}

export interface PollView {
  readonly multiple: boolean;
  readonly closed: boolean;
  readonly votes: readonly (readonly string[])[];
  readonly closes_at?: string | null;
}

export interface Post {
  readonly type: 'post';
  readonly id: string;
  readonly body: Plain | Sealed;
  readonly kind?: string;
  readonly parent?: string | null;
  readonly reply_to?: string | null;
  readonly mentions?: Mentions | null;
  readonly attachments?: readonly Attachment[];
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
  readonly silent?: boolean;
  readonly ttl?: number | null;
  readonly forwarded?: Forwarded | null;
  readonly poll?: Poll | null;
}

export interface PreferWish {
  readonly read_receipts?: boolean;
  readonly delivered_receipts?: boolean;
  readonly typing?: boolean;
  readonly presence?: Visibility;
  readonly last_seen?: Visibility;
  readonly status?: Visibility;
  readonly direct_from?: Visibility;
  readonly added_by?: Visibility;
  readonly calls_from?: Visibility;
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
}

export interface Preferences {
  readonly read_receipts?: boolean;
  readonly delivered_receipts?: boolean;
  readonly typing?: boolean;
  readonly presence?: Visibility;
  readonly last_seen?: Visibility;
  readonly status?: Visibility;
  readonly direct_from?: Visibility;
  readonly added_by?: Visibility;
  readonly calls_from?: Visibility;
  readonly custom?: Readonly<Record<string, unknown>>;
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

export interface ProcessingAnswer {
  readonly restricted_at: string | null;
  readonly by: string | null;
  readonly objections: readonly ObjectionAnswer[];
}

export interface Profile {
  readonly name: string;
}

export interface ProviderBegun {
  readonly ticket: string;
  readonly location: string;
}

export interface ProviderChoice {
  readonly id: string;
  readonly name: string;
}

export interface ProviderStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly ticket: string;
  readonly state: string;
  readonly code: string;
  readonly iss?: string | null;
}

export interface PublicKey {
  readonly name: string;
  readonly public_key: string;
}

export interface PurposeAnswer {
  readonly id: string;
  readonly basis: Basis;
  readonly title: string;
  readonly text: string;
  readonly sha256: string;
  readonly version: number;
  readonly categories: readonly string[];
  readonly retention: string;
  readonly recipients: readonly string[];
  readonly changed_at: string;
}

export interface PurposeWish {
  readonly basis: Basis;
  readonly title: string;
  readonly text: string;
  readonly categories?: readonly string[];
  readonly retention?: string;
  readonly recipients?: readonly string[];
}

export interface PushFacts {
  readonly public_key: string;
  readonly kinds: readonly PushKind[];
}

export type PushKind = 'apns' | 'fcm' | 'unified_push' | 'web_push';

export interface PushSettings {
  readonly previews?: boolean;
  readonly reactions?: boolean;
  readonly invites?: boolean;
  readonly calls?: boolean;
  readonly time_zone?: string;
  readonly quiet?: Quiet | null;
}

export interface PushSettingsWish {
  readonly previews?: boolean;
  readonly reactions?: boolean;
  readonly invites?: boolean;
  readonly calls?: boolean;
  readonly time_zone?: string;
  readonly quiet?: Quiet | null;
}

export interface PushSubscription {
  readonly id: string;
  readonly kind: PushKind;
  readonly device: string;
  readonly environment: ApnsEnvironment;
  readonly voip: boolean;
  readonly withdrawals: boolean;
  readonly created_at: number;
  readonly current: boolean;
}

export interface PushSubscriptionWish {
  readonly kind: PushKind;
  readonly endpoint?: string;
  readonly p256dh?: string;
  readonly auth?: string;
  readonly token?: string;
  readonly environment?: ApnsEnvironment;
  readonly voip?: boolean;
  readonly withdrawals?: boolean | null;
}

export interface PushSubscriptions {
  readonly items: readonly PushSubscription[];
}

export interface Question {
  readonly operation: Operation;
  readonly channels?: readonly string[];
  readonly groups?: readonly string[];
  readonly uuids?: readonly string[];
}

export interface Quiet {
  readonly start: string;
  readonly end: string;
  readonly days?: readonly number[];
  readonly calls?: boolean;
}

export interface React {
  readonly type: 'react';
  readonly id: string;
  readonly emoji: string;
  readonly on?: boolean;
  readonly body?: Sealed | null;
}

export interface Reaction {
  readonly emoji: string;
  readonly accounts: readonly string[];
  readonly body?: Sealed | null;
}

export interface ReadUpto {
  readonly seq: number;
  readonly parent?: string | null;
  readonly everything?: boolean;
}

export interface Receipt {
  readonly account: string;
  readonly read?: number | null;
  readonly delivered?: number | null;
}

export interface ReceiptsAnswer {
  readonly items: readonly Receipt[];
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

export interface Register {
  readonly purposes: readonly PurposeAnswer[];
}

export interface RejectByToken {
  readonly token: string;
  readonly reason?: 'busy' | 'rejected';
}

export interface RejectWish {
  readonly call?: string | null;
  readonly reason?: 'busy' | 'not_supported' | 'rejected';
}

export interface Relay {
  readonly urls: readonly string[];
  readonly username: string;
  readonly credential: string;
}

export interface ReminderShown {
  readonly about: Nudge;
  readonly at: string;
}

export interface Rename {
  readonly name: string;
}

export interface Report {
  readonly id: string;
  readonly room: string;
  readonly message: string;
  readonly seq: number;
  readonly author: string | null;
  readonly reporter: string;
  readonly reason: string;
  readonly text: string;
  readonly at: string;
  readonly outcome?: signaling_chat_reports_Outcome;
  readonly by?: string | null;
}

export interface ReportWish {
  readonly reason?: string;
  readonly text?: string;
}

export interface Request {
  readonly account: string;
  readonly room: string;
  readonly text: string;
  readonly at: string;
}

export interface RequestAnswer {
  readonly id: string;
  readonly kind: signaling_compliance_requests_tracker_Kind;
  readonly text: string;
  readonly account: string | null;
  readonly subject: string | null;
  readonly received_at: string;
  readonly due_at: string;
  readonly state: signaling_compliance_requests_tracker_State;
  readonly days_left: number | null;
  readonly overdue: boolean;
  readonly reminders: readonly ReminderShown[];
  readonly reason: string | null;
  readonly answer: string | null;
  readonly ended_at: string | null;
}

export interface RequestWish {
  readonly text?: string;
}

export interface ResetAsk {
  readonly login: string;
}

export interface ResetStep {
  readonly link: string;
  readonly password: string;
}

export interface RetentionAnswer {
  readonly messages: number | null;
  readonly files: number | null;
  readonly own: Policy;
  readonly held?: boolean;
}

export interface RetentionTried {
  readonly rooms: number;
  readonly messages: number;
  readonly files: number;
  readonly held: number;
  readonly items: readonly Due[];
}

export interface RetentionWish {
  readonly messages: number | null;
  readonly files?: number | null;
}

export interface RingWish {
  readonly accounts?: readonly string[];
}

export type Role = 'administrator' | 'auditor' | 'bot' | 'compliance' | 'guest' | 'member' | 'owner';

export interface RoomAnswer {
  readonly id: string;
  readonly kind: signaling_chat_ops_Kind;
  readonly mode: Mode;
  readonly name: string;
  readonly topic: string;
  readonly avatar: string | null;
  readonly custom: Readonly<Record<string, boolean | number | string | null>>;
  readonly settings: Settings;
  readonly creator: string | null;
  readonly created_at: string | null;
  readonly part: signaling_chat_ops_Part;
  readonly members: number;
  readonly pins: readonly string[];
  readonly head: number;
  readonly call_encryption?: CallPolicy;
}

export interface RoomCounts {
  readonly room: string;
  readonly counts: Counts;
}

export interface RoomsBody {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

export interface RouteAnswer {
  readonly id: string;
  readonly name: string;
  readonly to: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  readonly room: string | null;
  readonly filter: EventFilter;
  readonly transient: boolean;
  readonly batch: number;
  readonly batch_seconds: number;
  readonly enabled: boolean;
  readonly reason: string;
  readonly failing_since: number | null;
  readonly created_at: number;
  readonly secret?: string | null;
}

export interface S3 {
  readonly type: 's3';
  readonly endpoint: string;
  readonly bucket: string;
  readonly region?: string;
  readonly access_key: string;
  readonly secret_key: string;
  readonly prefix?: string;
}

export interface Said {
  readonly seq: number;
  readonly at: string;
  readonly body: Plain | Sealed;
}

export interface Save {
  readonly type: 'save';
  readonly room: string;
  readonly id: string;
  readonly on?: boolean;
  readonly note?: string;
  readonly remind_at?: string | null;
}

export interface SaveWish {
  readonly note?: string;
  readonly remind_at?: string | null;
}

export interface ScheduleWish {
  readonly at: string;
  readonly message: NewMessage;
}

export interface Scheduled {
  readonly id: string;
  readonly account: string;
  readonly device: string;
  readonly room: string;
  readonly at: string;
  readonly post: Post;
  readonly scopes?: readonly string[];
}

export interface ScheduledAnswer {
  readonly items: readonly Scheduled[];
}

export interface Sealed {
  readonly format: 'm.e2ee.v1';
  readonly account: string;
  readonly device: string;
  readonly group_id: string;
  readonly epoch: number;
  readonly leaf: number;
  readonly sent_at: number;
  readonly salt: string;
  readonly ct: string;
  readonly sig: string;
}

export interface SealedReaction {
  readonly body?: Sealed | null;
}

export interface SecretRotation {
  readonly overlap_seconds?: number;
}

export interface SecretView {
  readonly id: string;
  readonly created_at: number;
  readonly retires_at: number | null;
}

export interface SessionList {
  readonly items: readonly signaling_accounts_sessions_operations_Listed[];
}

export interface Set {
  readonly type: 'set';
  readonly name?: string;
  readonly topic?: string;
  readonly avatar?: string | null;
  readonly custom?: Readonly<Record<string, boolean | number | string | null>>;
  readonly join?: Join;
  readonly post?: Who;
  readonly invite?: Who;
  readonly pin?: Who;
  readonly mention_room?: Who;
  readonly preview?: boolean;
  readonly since_join?: boolean;
  readonly receipts?: boolean;
  readonly ttl?: number | null;
  readonly retention?: number | null;
  readonly call_encryption?: CallPolicy;
  readonly lobby?: Lobby;
  readonly phi?: boolean;
  readonly peek?: boolean;
}

export interface Settings {
  readonly join?: Join;
  readonly post?: Who;
  readonly invite?: Who;
  readonly pin?: Who;
  readonly mention_room?: Who;
  readonly preview?: boolean;
  readonly since_join?: boolean;
  readonly receipts?: boolean;
  readonly ttl?: number | null;
  readonly retention?: number | null;
  readonly call_encryption?: CallPolicy;
  readonly lobby?: Lobby;
  readonly phi?: boolean;
  readonly peek?: boolean;
}

export interface Shape {
  readonly variant: Variant;
  readonly media_type: string;
  readonly size: number;
  readonly width?: number | null;
  readonly height?: number | null;
}

export interface Shown {
  readonly account: string;
  readonly state?: signaling_chat_seeing_State;
  readonly text?: string;
  readonly emoji?: string;
  readonly until?: string | null;
  readonly seen_at?: string | null;
}

export interface SignInAnswer {
  readonly state: string;
  readonly account_id?: string | null;
  readonly ticket?: string | null;
  readonly factors?: readonly string[];
  readonly session_id?: string | null;
  readonly expires_at?: number | null;
  readonly access_token?: string | null;
  readonly refresh_token?: string | null;
  readonly device_token?: string | null;
  readonly recovery_codes?: readonly string[];
  readonly room?: string | null;
}

export interface SignInPage {
  readonly sign_up: string;
  readonly password_shortest: number;
  readonly password_longest: number;
  readonly second_factor: string;
  readonly password_reset: boolean;
  readonly providers: readonly ProviderChoice[];
}

export interface SignUpPasskeyBegin {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly login: string;
  readonly name?: string;
  readonly link?: string | null;
}

export interface SignUpPasskeyStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly ticket: string;
  readonly credential: Readonly<Record<string, unknown>>;
  readonly passkey_name?: string;
}

export interface SignUpStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly login: string;
  readonly password: string;
  readonly name?: string;
  readonly link?: string | null;
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

export interface Sqs {
  readonly type: 'sqs';
  readonly queue_url: string;
  readonly region?: string;
  readonly access_key: string;
  readonly secret_key: string;
}

export interface Standing {
  readonly head: HeadShown | null;
  readonly keys: readonly PublicKey[];
}

export interface StartedImport {
  readonly people?: Readonly<Record<string, string>>;
  readonly owner?: string | null;
}

export interface Statistics {
  readonly least: number;
  readonly since: string;
  readonly until: string;
  readonly messages_by_day: Grouped;
  readonly messages_by_mode: Grouped;
  readonly messages_by_kind: Grouped;
  readonly files_by_day: Grouped;
  readonly calls_by_day: Grouped;
}

export interface StatusWish {
  readonly state?: signaling_chat_seeing_State;
  readonly text?: string;
  readonly emoji?: string;
  readonly until?: string | null;
}

export interface Syslog {
  readonly type: 'syslog';
  readonly host: string;
  readonly port?: number;
  readonly facility?: number;
  readonly overlap_seconds?: number;
}

export interface TestAnswer {
  readonly delivered: boolean;
  readonly reason?: string;
}

export interface ThreadView {
  readonly replies: number;
  readonly last_seq: number;
  readonly accounts: readonly string[];
}

export interface TicketAnswer {
  readonly ticket: string;
  readonly path: string;
  readonly expires_in: number;
}

export interface TicketStep {
  readonly cookie?: boolean;
  readonly device_token?: string;
  readonly device_name?: string;
  readonly ticket: string;
}

export interface ToE2ee {
  readonly type: 'mode';
  readonly mode?: Mode;
}

export interface ToHttps {
  readonly type: 'https';
  readonly url: string;
}

export interface TokenWish {
  readonly scopes: readonly string[];
  readonly label?: string;
  readonly seconds?: number;
}

export interface TotpAnswer {
  readonly secret: string;
  readonly uri: string;
  readonly qr: string;
}

export interface TypingWish {
  readonly seconds?: number;
  readonly parent?: string | null;
}

export interface Usage {
  readonly used_bytes: number;
  readonly limit_bytes: number;
  readonly uploads: number;
  readonly max_file_bytes: number;
}

export type Variant = 'file' | 'preview' | 'source' | 'thumbnail';

export interface VersionShown {
  readonly version: number;
  readonly state: signaling_keys_lifecycle_State;
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

export type Visibility = 'contacts' | 'everyone' | 'nobody';

export interface Void {
  readonly type: 'void';
  readonly code: string;
  readonly was?: string;
}

export interface Vote {
  readonly type: 'vote';
  readonly id: string;
  readonly choices?: readonly number[];
}

export interface Waiting {
  readonly account: string;
  readonly name: string;
  readonly since: string;
}

export interface WebhookAnswer {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly room: string | null;
  readonly filter: EventFilter;
  readonly transient: boolean;
  readonly enabled: boolean;
  readonly reason: string;
  readonly failing_since: number | null;
  readonly created_at: number;
  readonly secret?: string | null;
}

export type Who = 'members' | 'moderators';

export interface signaling_access_explain_Part {
  readonly kind: signaling_access_permissions_Kind;
  readonly name: string;
  readonly needs: readonly string[];
  readonly has: readonly string[];
  readonly explicit?: readonly string[];
  readonly patterns?: readonly Matched[];
  readonly enough: boolean;
}

export interface signaling_access_grants_Listed {
  readonly id: string;
  readonly expires: number;
  readonly revoked: boolean;
  readonly grant: View;
}

export interface signaling_access_operations_Rotation {
  readonly overlap_seconds?: number;
}

export type signaling_access_permissions_Kind = 'channels' | 'groups' | 'uuids';

export interface signaling_accounts_operations_bots_Rotation {
  readonly overlap_seconds?: number;
}

export interface signaling_accounts_operations_shapes_LinkAnswer {
  readonly id: string;
  readonly label: string;
  readonly roles: readonly string[];
  readonly room: string | null;
  readonly uses: number;
  readonly used: number;
  readonly made_at: number;
  readonly expires_at: number | null;
}

export interface signaling_accounts_sessions_operations_Listed {
  readonly id: string;
  readonly device: string;
  readonly label: string;
  readonly client: string | null;
  readonly created_at: number;
  readonly last_used_at: number;
  readonly expires_at: number;
  readonly mfa: boolean;
  readonly current: boolean;
}

export type signaling_calls_call_Outcome = 'accepted' | 'busy' | 'cancelled' | 'not_supported' | 'rejected' | 'ringing' | 'timed_out';

export interface signaling_calls_shapes_JoinAnswer {
  readonly call: CallAnswer;
  readonly token?: string | null;
  readonly url?: string | null;
  readonly identity?: string | null;
  readonly expires_in?: number | null;
  readonly ice_servers?: readonly Relay[];
  readonly encryption?: CallPolicy;
}

export type signaling_chat_ops_Kind = 'announcement' | 'direct' | 'group' | 'private' | 'public';

export type signaling_chat_ops_Part = 'banned' | 'guest' | 'member' | 'moderator' | 'none' | 'owner' | 'service';

export type signaling_chat_reports_Outcome = 'banned' | 'deleted' | 'dismissed' | 'open' | 'removed';

export type signaling_chat_seeing_State = 'away' | 'busy' | 'invisible' | 'offline' | 'online';

export interface signaling_compliance_audit_operations_Verdict {
  readonly good: boolean;
  readonly records: number;
  readonly heads: number;
  readonly signed_to: number;
  readonly unsigned: number;
  readonly findings: readonly Finding[];
}

export type signaling_compliance_erasure_port_Kind = 'messages' | 'person' | 'range' | 'room';

export type signaling_compliance_erasure_port_State = 'done' | 'held' | 'running' | 'waiting';

export type signaling_compliance_imports_port_State = 'cancelled' | 'checking' | 'done' | 'ready' | 'refused' | 'running' | 'uploading';

export interface signaling_compliance_requests_operations_Verdict {
  readonly outcome: 'answered' | 'refused';
  readonly text: string;
}

export type signaling_compliance_requests_tracker_Kind = 'access' | 'erasure' | 'objection' | 'portability' | 'rectification' | 'restriction';

export type signaling_compliance_requests_tracker_State = 'answered' | 'extended' | 'open' | 'refused' | 'withdrawn';

export interface signaling_files_operations_LinkAnswer {
  readonly url: string;
  readonly expires_at: number;
  readonly media_type: string;
  readonly size: number;
}

export type signaling_files_port_State = 'quarantined' | 'ready' | 'refused' | 'uploaded' | 'uploading';

export interface signaling_http_guests_JoinAnswer {
  readonly token: string;
  readonly url: string;
  readonly identity: string;
}

export type signaling_keys_lifecycle_State = 'active' | 'decrypt_only' | 'destroyed' | 'disabled' | 'pre_active' | 'scheduled';

/** Every operation: where it is, what it takes, what it answers. */
export interface Operations {
  acceptCall: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/call/accept';
    body: AcceptWish;
    query: undefined;
    answer: signaling_calls_shapes_JoinAnswer;
  };
  acceptRoomInvite: {
    method: 'POST';
    path: '/api/v1/room-invites/accept';
    body: Accept;
    query: undefined;
    answer: RoomAnswer;
  };
  activateKeyVersion: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/activate';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  addPasskey: {
    method: 'POST';
    path: '/api/v1/account/passkeys';
    body: NewPasskey;
    query: undefined;
    answer: Codes;
  };
  addPushSubscription: {
    method: 'POST';
    path: '/api/v1/push/subscriptions';
    body: PushSubscriptionWish;
    query: undefined;
    answer: PushSubscription;
  };
  addReaction: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/reactions/{emoji}';
    body: SealedReaction;
    query: {
      readonly uuid?: string | null;
    };
    answer: MessageView;
  };
  admitToCall: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/call/lobby/admit';
    body: AdmitWish;
    query: undefined;
    answer: LobbyAnswer;
  };
  answerRequest: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/requests/{account_id}';
    body: Decision;
    query: undefined;
    answer: undefined;
  };
  answerRightsRequest: {
    method: 'POST';
    path: '/api/v1/requests/{request_id}/answer';
    body: signaling_compliance_requests_operations_Verdict;
    query: undefined;
    answer: RequestAnswer;
  };
  approveExport: {
    method: 'POST';
    path: '/api/v1/exports/{export_id}/approval';
    body: undefined;
    query: undefined;
    answer: ExportAnswer;
  };
  approveHoldRelease: {
    method: 'POST';
    path: '/api/v1/holds/{hold_id}/release/approval';
    body: undefined;
    query: undefined;
    answer: HoldAnswer;
  };
  approveKeyDestruction: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/destruction/approval';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  askAboutMyData: {
    method: 'POST';
    path: '/api/v1/account/requests';
    body: OwnRequest;
    query: undefined;
    answer: RequestAnswer;
  };
  askForPasswordReset: {
    method: 'POST';
    path: '/api/v1/password-resets';
    body: ResetAsk;
    query: undefined;
    answer: undefined;
  };
  askHoldRelease: {
    method: 'POST';
    path: '/api/v1/holds/{hold_id}/release';
    body: undefined;
    query: undefined;
    answer: HoldAnswer;
  };
  beginCall: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/call';
    body: CallBegin;
    query: undefined;
    answer: signaling_calls_shapes_JoinAnswer;
  };
  beginEnrolmentOfPasskey: {
    method: 'POST';
    path: '/api/v1/sign-in/enrolment/passkey/options';
    body: TicketStep;
    query: undefined;
    answer: PasskeyOptions;
  };
  beginEnrolmentOfTotp: {
    method: 'POST';
    path: '/api/v1/sign-in/enrolment/totp';
    body: TicketStep;
    query: undefined;
    answer: TotpAnswer;
  };
  beginMail: {
    method: 'POST';
    path: '/api/v1/account/mail';
    body: MailWish;
    query: undefined;
    answer: undefined;
  };
  beginPasskey: {
    method: 'POST';
    path: '/api/v1/account/passkeys/options';
    body: undefined;
    query: undefined;
    answer: PasskeyOptions;
  };
  beginProofWithPasskey: {
    method: 'POST';
    path: '/api/v1/reauthentication/passkey/options';
    body: undefined;
    query: undefined;
    answer: PasskeyOptions;
  };
  beginProviderLink: {
    method: 'POST';
    path: '/api/v1/account/providers/{provider_id}';
    body: undefined;
    query: undefined;
    answer: ProviderBegun;
  };
  beginSignInWithPasskey: {
    method: 'POST';
    path: '/api/v1/sign-in/passkey/options';
    body: PasskeyBegin;
    query: undefined;
    answer: PasskeyOptions;
  };
  beginSignInWithProvider: {
    method: 'POST';
    path: '/api/v1/sign-in/providers/{provider_id}';
    body: Here;
    query: undefined;
    answer: ProviderBegun;
  };
  beginSignUpWithPasskey: {
    method: 'POST';
    path: '/api/v1/sign-up/passkey/options';
    body: SignUpPasskeyBegin;
    query: undefined;
    answer: PasskeyOptions;
  };
  beginTotp: {
    method: 'POST';
    path: '/api/v1/account/totp';
    body: undefined;
    query: undefined;
    answer: TotpAnswer;
  };
  block: {
    method: 'PUT';
    path: '/api/v1/blocks/{account_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  cancelCall: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/call/cancel';
    body: CancelWish;
    query: undefined;
    answer: CallAnswer;
  };
  cancelHoldRelease: {
    method: 'DELETE';
    path: '/api/v1/holds/{hold_id}/release';
    body: undefined;
    query: undefined;
    answer: HoldAnswer;
  };
  cancelImport: {
    method: 'DELETE';
    path: '/api/v1/imports/{import_id}';
    body: undefined;
    query: undefined;
    answer: ImportAnswer;
  };
  cancelKeyDestruction: {
    method: 'DELETE';
    path: '/api/v1/keys/{key_id}/versions/{version}/destruction';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  cancelScheduled: {
    method: 'DELETE';
    path: '/api/v1/scheduled/{scheduled_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  cancelUpload: {
    method: 'DELETE';
    path: '/api/v1/uploads/{file_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  changeAccount: {
    method: 'PATCH';
    path: '/api/v1/account';
    body: Profile;
    query: undefined;
    answer: OwnAccount;
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
  changeOAuthClient: {
    method: 'PATCH';
    path: '/api/v1/oauth/clients/{client_id}';
    body: ClientChange;
    query: undefined;
    answer: ClientView;
  };
  changeOneAccount: {
    method: 'PATCH';
    path: '/api/v1/accounts/{account_id}';
    body: AccountChange;
    query: undefined;
    answer: AccountAnswer;
  };
  changePreferences: {
    method: 'PATCH';
    path: '/api/v1/preferences';
    body: PreferWish;
    query: undefined;
    answer: Preferences;
  };
  changeRoom: {
    method: 'PATCH';
    path: '/api/v1/rooms/{room_id}';
    body: ChangedRoom;
    query: {
      readonly uuid?: string | null;
    };
    answer: RoomAnswer;
  };
  changeRoomMode: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/mode';
    body: ModeWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: RoomAnswer;
  };
  changeRoute: {
    method: 'PATCH';
    path: '/api/v1/routes/{route_id}';
    body: ChangedRoute;
    query: undefined;
    answer: RouteAnswer;
  };
  changeWebhook: {
    method: 'PATCH';
    path: '/api/v1/webhooks/{webhook_id}';
    body: ChangedWebhook;
    query: undefined;
    answer: WebhookAnswer;
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
  clearHistory: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/hidden';
    body: HideWish;
    query: undefined;
    answer: undefined;
  };
  clearUnread: {
    method: 'DELETE';
    path: '/api/v1/unread';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  closePoll: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/close';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: MessageView;
  };
  completeFile: {
    method: 'POST';
    path: '/api/v1/files/{file_id}/complete';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: FileInfo;
  };
  confirmEnrolmentOfPasskey: {
    method: 'POST';
    path: '/api/v1/sign-in/enrolment/passkey';
    body: EnrolPasskeyStep;
    query: undefined;
    answer: SignInAnswer;
  };
  confirmEnrolmentOfTotp: {
    method: 'POST';
    path: '/api/v1/sign-in/enrolment/totp/confirmation';
    body: CodeStep;
    query: undefined;
    answer: SignInAnswer;
  };
  confirmMail: {
    method: 'POST';
    path: '/api/v1/account/mail/confirmation';
    body: LinkOnly;
    query: undefined;
    answer: undefined;
  };
  confirmTotp: {
    method: 'POST';
    path: '/api/v1/account/totp/confirmation';
    body: CodeOnly;
    query: undefined;
    answer: Codes;
  };
  continueUpload: {
    method: 'PATCH';
    path: '/api/v1/uploads/{file_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  createBot: {
    method: 'POST';
    path: '/api/v1/bots';
    body: NewBot;
    query: undefined;
    answer: BotAnswer;
  };
  createBotToken: {
    method: 'POST';
    path: '/api/v1/bots/{bot_id}/tokens';
    body: TokenWish;
    query: undefined;
    answer: BotTokenAnswer;
  };
  createCallToken: {
    method: 'POST';
    path: '/api/v1/calls/tokens';
    body: CallWish;
    query: undefined;
    answer: CallTokenAnswer;
  };
  createCallTokenByAccessToken: {
    method: 'POST';
    path: '/api/v1/access/call-tokens';
    body: PassWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: PassAnswer;
  };
  createFile: {
    method: 'POST';
    path: '/api/v1/files';
    body: NewFile;
    query: {
      readonly uuid?: string | null;
    };
    answer: FileInfo;
  };
  createFileLink: {
    method: 'POST';
    path: '/api/v1/files/{file_id}/links';
    body: LinkWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: signaling_files_operations_LinkAnswer;
  };
  createGuestCallToken: {
    method: 'POST';
    path: '/api/join';
    body: JoinRequest;
    query: undefined;
    answer: signaling_http_guests_JoinAnswer;
  };
  createGuestLink: {
    method: 'POST';
    path: '/api/v1/guest-links';
    body: GuestLinkWish;
    query: undefined;
    answer: LinkMade;
  };
  createImport: {
    method: 'POST';
    path: '/api/v1/imports';
    body: NewImport;
    query: undefined;
    answer: ImportAnswer;
  };
  createIncomingWebhook: {
    method: 'POST';
    path: '/api/v1/incoming-webhooks';
    body: NewInlet;
    query: undefined;
    answer: InletAnswer;
  };
  createInvitation: {
    method: 'POST';
    path: '/api/v1/invitations';
    body: Invitation;
    query: undefined;
    answer: LinkMade;
  };
  createKeySet: {
    method: 'POST';
    path: '/api/v1/access/key-sets';
    body: NewKeySet;
    query: undefined;
    answer: NewSecret;
  };
  createOAuthClient: {
    method: 'POST';
    path: '/api/v1/oauth/clients';
    body: NewClient;
    query: undefined;
    answer: ClientView;
  };
  createPasswordLink: {
    method: 'POST';
    path: '/api/v1/accounts/{account_id}/password-links';
    body: undefined;
    query: undefined;
    answer: LinkMade;
  };
  createRoom: {
    method: 'POST';
    path: '/api/v1/rooms';
    body: NewRoom;
    query: undefined;
    answer: RoomAnswer;
  };
  createRoomInvite: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/invites';
    body: InviteWish;
    query: undefined;
    answer: NewInvite;
  };
  createRoute: {
    method: 'POST';
    path: '/api/v1/routes';
    body: NewRoute;
    query: undefined;
    answer: RouteAnswer;
  };
  createSyncTicket: {
    method: 'POST';
    path: '/api/v1/sync/tickets';
    body: undefined;
    query: undefined;
    answer: TicketAnswer;
  };
  createUpload: {
    method: 'POST';
    path: '/api/v1/uploads';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  createWebhook: {
    method: 'POST';
    path: '/api/v1/webhooks';
    body: NewWebhook;
    query: undefined;
    answer: WebhookAnswer;
  };
  declarePurpose: {
    method: 'PUT';
    path: '/api/v1/processing-register/{purpose_id}';
    body: PurposeWish;
    query: undefined;
    answer: PurposeAnswer;
  };
  deleteAccount: {
    method: 'DELETE';
    path: '/api/v1/account';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  deleteClientLog: {
    method: 'DELETE';
    path: '/api/v1/diagnostics/{log_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  deleteDraft: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/draft';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  deleteFile: {
    method: 'DELETE';
    path: '/api/v1/files/{file_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
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
  deleteMessage: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  deleteOneAccount: {
    method: 'DELETE';
    path: '/api/v1/accounts/{account_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  deleteRoom: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: ErasureAnswer;
  };
  deleteRoute: {
    method: 'DELETE';
    path: '/api/v1/routes/{route_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  deleteWebhook: {
    method: 'DELETE';
    path: '/api/v1/webhooks/{webhook_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  denyCall: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/call/lobby/deny';
    body: DenyWish;
    query: undefined;
    answer: LobbyAnswer;
  };
  describeUploads: {
    method: 'OPTIONS';
    path: '/api/v1/uploads';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  disableKeyVersion: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/disable';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  editMessage: {
    method: 'PATCH';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}';
    body: EditedMessage;
    query: {
      readonly uuid?: string | null;
    };
    answer: MessageView;
  };
  enableKeyVersion: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/enable';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  endCall: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/call';
    body: undefined;
    query: undefined;
    answer: CallAnswer;
  };
  endOneSession: {
    method: 'DELETE';
    path: '/api/v1/sessions/{session_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  endOtherSessions: {
    method: 'DELETE';
    path: '/api/v1/sessions/others';
    body: undefined;
    query: undefined;
    answer: Ended;
  };
  endSession: {
    method: 'DELETE';
    path: '/api/v1/session';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  endSessionsOfAccount: {
    method: 'DELETE';
    path: '/api/v1/accounts/{account_id}/sessions';
    body: undefined;
    query: undefined;
    answer: Ended;
  };
  enterRightsRequest: {
    method: 'POST';
    path: '/api/v1/requests';
    body: PaperRequest;
    query: undefined;
    answer: RequestAnswer;
  };
  eraseAccount: {
    method: 'POST';
    path: '/api/v1/account/erasure';
    body: Farewell;
    query: undefined;
    answer: ErasureAnswer;
  };
  eraseMessages: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/erasures';
    body: ErasureWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: ErasureAnswer;
  };
  eraseOneAccount: {
    method: 'POST';
    path: '/api/v1/accounts/{account_id}/erasure';
    body: Farewell;
    query: undefined;
    answer: ErasureAnswer;
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
  exportAccount: {
    method: 'GET';
    path: '/api/v1/account/export';
    body: undefined;
    query: undefined;
    answer: Blob;
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
      readonly pseudonyms?: boolean;
    };
    answer: Blob;
  };
  extendRightsRequest: {
    method: 'POST';
    path: '/api/v1/requests/{request_id}/extension';
    body: Extension;
    query: undefined;
    answer: RequestAnswer;
  };
  fetchExport: {
    method: 'GET';
    path: '/api/v1/exports/{export_id}/archive';
    body: undefined;
    query: undefined;
    answer: Blob;
  };
  findPasswordChange: {
    method: 'GET';
    path: '/.well-known/change-password';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  forwardMessage: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/forward';
    body: ForwardWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: MessageView;
  };
  generateKeyVersion: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  getAccount: {
    method: 'GET';
    path: '/api/v1/account';
    body: undefined;
    query: undefined;
    answer: OwnAccount;
  };
  getAuditHead: {
    method: 'GET';
    path: '/api/v1/audit/head';
    body: undefined;
    query: undefined;
    answer: Standing;
  };
  getBot: {
    method: 'GET';
    path: '/api/v1/bots/{bot_id}';
    body: undefined;
    query: undefined;
    answer: BotAnswer;
  };
  getCall: {
    method: 'GET';
    path: '/api/v1/calls/{call_id}';
    body: undefined;
    query: undefined;
    answer: CallAnswer;
  };
  getErasure: {
    method: 'GET';
    path: '/api/v1/erasures/{erasure_id}';
    body: undefined;
    query: undefined;
    answer: ErasureAnswer;
  };
  getErasureCertificate: {
    method: 'GET';
    path: '/api/v1/erasures/{erasure_id}/certificate';
    body: undefined;
    query: undefined;
    answer: CertificateAnswer;
  };
  getFile: {
    method: 'GET';
    path: '/api/v1/files/{file_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: FileInfo;
  };
  getFileUsage: {
    method: 'GET';
    path: '/api/v1/account/files/usage';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: Usage;
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
  getHold: {
    method: 'GET';
    path: '/api/v1/holds/{hold_id}';
    body: undefined;
    query: undefined;
    answer: HoldAnswer;
  };
  getImport: {
    method: 'GET';
    path: '/api/v1/imports/{import_id}';
    body: undefined;
    query: undefined;
    answer: ImportAnswer;
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
  getLobby: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/call/lobby';
    body: undefined;
    query: undefined;
    answer: LobbyAnswer;
  };
  getMessage: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: MessageView;
  };
  getMyRightsRequest: {
    method: 'GET';
    path: '/api/v1/account/requests/{request_id}';
    body: undefined;
    query: undefined;
    answer: RequestAnswer;
  };
  getOAuthClient: {
    method: 'GET';
    path: '/api/v1/oauth/clients/{client_id}';
    body: undefined;
    query: undefined;
    answer: ClientView;
  };
  getOneAccount: {
    method: 'GET';
    path: '/api/v1/accounts/{account_id}';
    body: undefined;
    query: undefined;
    answer: AccountAnswer;
  };
  getPreferences: {
    method: 'GET';
    path: '/api/v1/preferences';
    body: undefined;
    query: undefined;
    answer: Preferences;
  };
  getPresence: {
    method: 'GET';
    path: '/api/v1/presence/{account_id}';
    body: undefined;
    query: undefined;
    answer: Shown;
  };
  getPrivacyNotice: {
    method: 'GET';
    path: '/api/v1/privacy-notice';
    body: undefined;
    query: undefined;
    answer: NoticeAnswer;
  };
  getPrivacyNoticeVersion: {
    method: 'GET';
    path: '/api/v1/privacy-notice/versions/{version}';
    body: undefined;
    query: undefined;
    answer: NoticeAnswer;
  };
  getProcessing: {
    method: 'GET';
    path: '/api/v1/account/processing';
    body: undefined;
    query: undefined;
    answer: ProcessingAnswer;
  };
  getProcessingRegister: {
    method: 'GET';
    path: '/api/v1/processing-register';
    body: undefined;
    query: undefined;
    answer: Register;
  };
  getProcessingRegisterTable: {
    method: 'GET';
    path: '/api/v1/processing-register.csv';
    body: undefined;
    query: undefined;
    answer: Blob;
  };
  getPurposeVersion: {
    method: 'GET';
    path: '/api/v1/processing-register/{purpose_id}/versions/{version}';
    body: undefined;
    query: undefined;
    answer: PurposeAnswer;
  };
  getPush: {
    method: 'GET';
    path: '/api/v1/push';
    body: undefined;
    query: undefined;
    answer: PushFacts;
  };
  getPushSettings: {
    method: 'GET';
    path: '/api/v1/push/settings';
    body: undefined;
    query: undefined;
    answer: PushSettings;
  };
  getRetention: {
    method: 'GET';
    path: '/api/v1/retention';
    body: undefined;
    query: undefined;
    answer: RetentionAnswer;
  };
  getRightsRequest: {
    method: 'GET';
    path: '/api/v1/requests/{request_id}';
    body: undefined;
    query: undefined;
    answer: RequestAnswer;
  };
  getRoom: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: RoomAnswer;
  };
  getRoomCall: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/call';
    body: undefined;
    query: undefined;
    answer: CallAnswer;
  };
  getRoomRetention: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/retention';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: RetentionAnswer;
  };
  getRoute: {
    method: 'GET';
    path: '/api/v1/routes/{route_id}';
    body: undefined;
    query: undefined;
    answer: RouteAnswer;
  };
  getSession: {
    method: 'GET';
    path: '/api/v1/session';
    body: undefined;
    query: undefined;
    answer: Current;
  };
  getSignIn: {
    method: 'GET';
    path: '/api/v1/sign-in';
    body: undefined;
    query: undefined;
    answer: SignInPage;
  };
  getStatistics: {
    method: 'GET';
    path: '/api/v1/statistics';
    body: undefined;
    query: {
      readonly window?: 'month' | 'week';
    };
    answer: Statistics;
  };
  getUnread: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/unread';
    body: undefined;
    query: undefined;
    answer: Counts;
  };
  getUpload: {
    method: 'HEAD';
    path: '/api/v1/uploads/{file_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  getWebhook: {
    method: 'GET';
    path: '/api/v1/webhooks/{webhook_id}';
    body: undefined;
    query: undefined;
    answer: WebhookAnswer;
  };
  giveConsentOf: {
    method: 'PUT';
    path: '/api/v1/accounts/{account_id}/consents/{purpose_id}';
    body: ConsentWish;
    query: undefined;
    answer: ConsentAnswer;
  };
  givePurposeConsent: {
    method: 'PUT';
    path: '/api/v1/account/consents/{purpose_id}';
    body: ConsentWish;
    query: undefined;
    answer: ConsentAnswer;
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
  hideMessage: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/hidden';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  joinAsGuest: {
    method: 'POST';
    path: '/api/v1/guests';
    body: GuestStep;
    query: undefined;
    answer: SignInAnswer;
  };
  joinRoom: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/join';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: RoomAnswer;
  };
  labelOneAccount: {
    method: 'PUT';
    path: '/api/v1/accounts/{account_id}/labels';
    body: Noted;
    query: undefined;
    answer: AccountAnswer;
  };
  liftAccountRestriction: {
    method: 'DELETE';
    path: '/api/v1/accounts/{account_id}/restriction';
    body: undefined;
    query: undefined;
    answer: ProcessingAnswer;
  };
  liftRestriction: {
    method: 'DELETE';
    path: '/api/v1/account/restriction';
    body: undefined;
    query: undefined;
    answer: ProcessingAnswer;
  };
  linkProvider: {
    method: 'POST';
    path: '/api/v1/account/provider-links';
    body: LinkProviderStep;
    query: undefined;
    answer: undefined;
  };
  listAccounts: {
    method: 'GET';
    path: '/api/v1/accounts';
    body: undefined;
    query: {
      readonly login?: string | null;
      readonly external_id?: string | null;
      readonly tag?: string | null;
      readonly created_since?: number | null;
      readonly created_before?: number | null;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly AccountAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
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
  listBlocks: {
    method: 'GET';
    path: '/api/v1/blocks';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly BlockedAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listBotTokens: {
    method: 'GET';
    path: '/api/v1/bots/{bot_id}/tokens';
    body: undefined;
    query: undefined;
    answer: BotTokenList;
  };
  listBots: {
    method: 'GET';
    path: '/api/v1/bots';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly BotAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listCalls: {
    method: 'GET';
    path: '/api/v1/calls';
    body: undefined;
    query: {
      readonly open?: boolean;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly CallAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listClientLogs: {
    method: 'GET';
    path: '/api/v1/diagnostics';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly ClientLogHead[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listConsents: {
    method: 'GET';
    path: '/api/v1/oauth/consents';
    body: undefined;
    query: undefined;
    answer: ConsentList;
  };
  listDevices: {
    method: 'GET';
    path: '/api/v1/account/devices';
    body: undefined;
    query: undefined;
    answer: Devices;
  };
  listDrafts: {
    method: 'GET';
    path: '/api/v1/drafts';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly Draft[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listErasures: {
    method: 'GET';
    path: '/api/v1/erasures';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly ErasureAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listExports: {
    method: 'GET';
    path: '/api/v1/exports';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly ExportAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listExportsAboutMe: {
    method: 'GET';
    path: '/api/v1/account/exports';
    body: undefined;
    query: undefined;
    answer: ExportsAnswer;
  };
  listGuestLinks: {
    method: 'GET';
    path: '/api/v1/guest-links';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly signaling_accounts_operations_shapes_LinkAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listHolds: {
    method: 'GET';
    path: '/api/v1/holds';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly HoldAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listImportPeople: {
    method: 'GET';
    path: '/api/v1/imports/{import_id}/people';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly ForeignPerson[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listImports: {
    method: 'GET';
    path: '/api/v1/imports';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly ImportAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listIncomingWebhooks: {
    method: 'GET';
    path: '/api/v1/incoming-webhooks';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly InletAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listInvitations: {
    method: 'GET';
    path: '/api/v1/invitations';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly signaling_accounts_operations_shapes_LinkAnswer[];
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
  listMembers: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/members';
    body: undefined;
    query: {
      readonly uuid?: string | null;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly MemberAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listMessages: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/messages';
    body: undefined;
    query: {
      readonly uuid?: string | null;
      readonly around?: string | null;
      readonly parent?: string | null;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly MessageView[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listMyRightsRequests: {
    method: 'GET';
    path: '/api/v1/account/requests';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly RequestAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listOAuthClients: {
    method: 'GET';
    path: '/api/v1/oauth/clients';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly ClientView[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listPins: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/pins';
    body: undefined;
    query: {
      readonly uuid?: string | null;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly MessageView[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listPlaceholders: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/placeholders';
    body: undefined;
    query: undefined;
    answer: PlaceholdersAnswer;
  };
  listPublicRooms: {
    method: 'GET';
    path: '/api/v1/public-rooms';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly RoomAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listPurposeConsents: {
    method: 'GET';
    path: '/api/v1/account/consents';
    body: undefined;
    query: undefined;
    answer: ConsentsAnswer;
  };
  listPushSubscriptions: {
    method: 'GET';
    path: '/api/v1/push/subscriptions';
    body: undefined;
    query: undefined;
    answer: PushSubscriptions;
  };
  listReceipts: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/receipts';
    body: undefined;
    query: undefined;
    answer: ReceiptsAnswer;
  };
  listReports: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/reports';
    body: undefined;
    query: {
      readonly done?: boolean;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly Report[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listRequests: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/requests';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly Request[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listRightsRequests: {
    method: 'GET';
    path: '/api/v1/requests';
    body: undefined;
    query: {
      readonly show?: 'all' | 'waiting';
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly RequestAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listRoomExports: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/exports';
    body: undefined;
    query: undefined;
    answer: ExportsAnswer;
  };
  listRoomFiles: {
    method: 'GET';
    path: '/api/v1/rooms/{room}/files';
    body: undefined;
    query: {
      readonly uuid?: string | null;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly FileInfo[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listRoomInvites: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/invites';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly Invite[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listRooms: {
    method: 'GET';
    path: '/api/v1/rooms';
    body: undefined;
    query: {
      readonly kind?: signaling_chat_ops_Kind | null;
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly RoomAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listRouteDeadLetters: {
    method: 'GET';
    path: '/api/v1/routes/{route_id}/dead-letters';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly LetterAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listRoutes: {
    method: 'GET';
    path: '/api/v1/routes';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly RouteAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listSaved: {
    method: 'GET';
    path: '/api/v1/saved';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly Save[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listScheduled: {
    method: 'GET';
    path: '/api/v1/scheduled';
    body: undefined;
    query: undefined;
    answer: ScheduledAnswer;
  };
  listSessions: {
    method: 'GET';
    path: '/api/v1/sessions';
    body: undefined;
    query: undefined;
    answer: SessionList;
  };
  listSessionsOfAccount: {
    method: 'GET';
    path: '/api/v1/accounts/{account_id}/sessions';
    body: undefined;
    query: undefined;
    answer: SessionList;
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
  listUnread: {
    method: 'GET';
    path: '/api/v1/unread';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly RoomCounts[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listWebhookDeadLetters: {
    method: 'GET';
    path: '/api/v1/webhooks/{webhook_id}/dead-letters';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly LetterAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  listWebhooks: {
    method: 'GET';
    path: '/api/v1/webhooks';
    body: undefined;
    query: {
      readonly limit?: number;
      readonly cursor?: string;
    };
    answer: {
      readonly items: readonly WebhookAnswer[];
      readonly next_cursor: string | null;
      readonly prev_cursor: string | null;
    };
  };
  lookupPseudonym: {
    method: 'POST';
    path: '/api/v1/pseudonyms/lookup';
    body: Lookup;
    query: undefined;
    answer: Found;
  };
  markDelivered: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/delivered';
    body: DeliveredUpto;
    query: undefined;
    answer: undefined;
  };
  markRead: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/read';
    body: ReadUpto;
    query: undefined;
    answer: Counts;
  };
  markUnread: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/unread';
    body: undefined;
    query: undefined;
    answer: Counts;
  };
  oauthDevice: {
    method: 'POST';
    path: '/oauth/device_authorization';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  oauthIntrospect: {
    method: 'POST';
    path: '/oauth/introspect';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  oauthResourceMetadata: {
    method: 'GET';
    path: '/.well-known/oauth-protected-resource';
    body: undefined;
    query: undefined;
    answer: Metadata;
  };
  oauthRevoke: {
    method: 'POST';
    path: '/oauth/revoke';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  oauthServerMetadata: {
    method: 'GET';
    path: '/.well-known/oauth-authorization-server';
    body: undefined;
    query: undefined;
    answer: Metadata;
  };
  oauthToken: {
    method: 'POST';
    path: '/oauth/token';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  objectToPurpose: {
    method: 'PUT';
    path: '/api/v1/account/objections/{purpose_id}';
    body: undefined;
    query: undefined;
    answer: ProcessingAnswer;
  };
  openSync: {
    method: 'GET';
    path: '/sync';
    body: undefined;
    query: {
      readonly ticket?: string | null;
    };
    answer: undefined;
  };
  overrideUpload: {
    method: 'POST';
    path: '/api/v1/uploads/{file_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
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
  peekRoom: {
    method: 'GET';
    path: '/api/v1/public-rooms/{room_id}/messages';
    body: undefined;
    query: undefined;
    answer: PeekAnswer;
  };
  pinMessage: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/pin';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  placeHold: {
    method: 'POST';
    path: '/api/v1/holds';
    body: NewHold;
    query: undefined;
    answer: HoldAnswer;
  };
  postDirect: {
    method: 'POST';
    path: '/api/v1/direct/{account_id}/messages';
    body: NewMessage;
    query: undefined;
    answer: DirectAnswer;
  };
  postIncoming: {
    method: 'POST';
    path: '/api/v1/incoming/{hook_token}';
    body: undefined;
    query: undefined;
    answer: Blob;
  };
  postMessage: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/messages';
    body: NewMessage;
    query: {
      readonly uuid?: string | null;
    };
    answer: MessageView;
  };
  proveAgainWithCode: {
    method: 'POST';
    path: '/api/v1/reauthentication/code';
    body: AgainCode;
    query: undefined;
    answer: SignInAnswer;
  };
  proveAgainWithPasskey: {
    method: 'POST';
    path: '/api/v1/reauthentication/passkey';
    body: AgainPasskey;
    query: undefined;
    answer: SignInAnswer;
  };
  proveAgainWithPassword: {
    method: 'POST';
    path: '/api/v1/reauthentication/password';
    body: AgainPassword;
    query: undefined;
    answer: SignInAnswer;
  };
  putDraft: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/draft';
    body: DraftWish;
    query: undefined;
    answer: undefined;
  };
  readAndroidApps: {
    method: 'GET';
    path: '/.well-known/assetlinks.json';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readAppleApps: {
    method: 'GET';
    path: '/.well-known/apple-app-site-association';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readAsyncApi: {
    method: 'GET';
    path: '/api/asyncapi.json';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readClientLog: {
    method: 'GET';
    path: '/api/v1/diagnostics/{log_id}';
    body: undefined;
    query: undefined;
    answer: ClientLogAnswer;
  };
  readLog: {
    method: 'GET';
    path: '/api/v1/rooms/{room_id}/log';
    body: undefined;
    query: {
      readonly uuid?: string | null;
      readonly after?: number;
      readonly limit?: number;
    };
    answer: LogAnswer;
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
  readSecurity: {
    method: 'GET';
    path: '/security';
    body: undefined;
    query: undefined;
    answer: Blob;
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
  rejectCall: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/call/reject';
    body: RejectWish;
    query: undefined;
    answer: CallAnswer;
  };
  rejectCallByToken: {
    method: 'POST';
    path: '/api/v1/calls/reject';
    body: RejectByToken;
    query: undefined;
    answer: undefined;
  };
  removeDevice: {
    method: 'DELETE';
    path: '/api/v1/account/devices/{device_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  removeFactors: {
    method: 'DELETE';
    path: '/api/v1/accounts/{account_id}/factors';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  removeMail: {
    method: 'DELETE';
    path: '/api/v1/account/mail';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  removeMember: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/members/{account_id}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  removeOAuthClient: {
    method: 'DELETE';
    path: '/api/v1/oauth/clients/{client_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  removePasskey: {
    method: 'DELETE';
    path: '/api/v1/account/passkeys/{passkey_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  removePushSubscription: {
    method: 'DELETE';
    path: '/api/v1/push/subscriptions/{push_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  removeReaction: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/reactions/{emoji}';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: MessageView;
  };
  removeTotp: {
    method: 'DELETE';
    path: '/api/v1/account/totp';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  renameApp: {
    method: 'PATCH';
    path: '/api/v1/app';
    body: Rename;
    query: undefined;
    answer: undefined;
  };
  renamePasskey: {
    method: 'PATCH';
    path: '/api/v1/account/passkeys/{passkey_id}';
    body: Rename;
    query: undefined;
    answer: undefined;
  };
  renewOAuthClientSecret: {
    method: 'POST';
    path: '/api/v1/oauth/clients/{client_id}/secrets';
    body: undefined;
    query: undefined;
    answer: ClientView;
  };
  renewRecoveryCodes: {
    method: 'POST';
    path: '/api/v1/account/recovery-codes';
    body: undefined;
    query: undefined;
    answer: Codes;
  };
  replayRoute: {
    method: 'POST';
    path: '/api/v1/routes/{route_id}/replay';
    body: undefined;
    query: undefined;
    answer: Count;
  };
  replayWebhook: {
    method: 'POST';
    path: '/api/v1/webhooks/{webhook_id}/replay';
    body: undefined;
    query: undefined;
    answer: Count;
  };
  reportMessage: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/reports';
    body: ReportWish;
    query: undefined;
    answer: Report;
  };
  requestExport: {
    method: 'POST';
    path: '/api/v1/exports';
    body: NewExport;
    query: undefined;
    answer: ExportAnswer;
  };
  requestToJoin: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/requests';
    body: RequestWish;
    query: undefined;
    answer: undefined;
  };
  resetPassword: {
    method: 'POST';
    path: '/api/v1/password-resets/completion';
    body: ResetStep;
    query: undefined;
    answer: undefined;
  };
  resolveReport: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/reports/{report_id}';
    body: OutcomeWish;
    query: undefined;
    answer: Report;
  };
  restrictAccount: {
    method: 'PUT';
    path: '/api/v1/accounts/{account_id}/restriction';
    body: undefined;
    query: undefined;
    answer: ProcessingAnswer;
  };
  restrictProcessing: {
    method: 'PUT';
    path: '/api/v1/account/restriction';
    body: undefined;
    query: undefined;
    answer: ProcessingAnswer;
  };
  retireSecret: {
    method: 'DELETE';
    path: '/api/v1/access/key-sets/{key_set}/secrets/{secret}';
    body: undefined;
    query: undefined;
    answer: KeySetView;
  };
  revokeBotToken: {
    method: 'DELETE';
    path: '/api/v1/bots/{bot_id}/tokens/{token_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  revokeCallToken: {
    method: 'DELETE';
    path: '/api/v1/calls/tokens/{token_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  revokeIncomingWebhook: {
    method: 'DELETE';
    path: '/api/v1/incoming-webhooks/{incoming_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
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
  ringMembers: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/call/ring';
    body: RingWish;
    query: undefined;
    answer: CallAnswer;
  };
  rotateBotToken: {
    method: 'POST';
    path: '/api/v1/bots/{bot_id}/tokens/{token_id}/rotation';
    body: signaling_accounts_operations_bots_Rotation;
    query: undefined;
    answer: BotTokenAnswer;
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
    body: signaling_access_operations_Rotation;
    query: undefined;
    answer: NewSecret;
  };
  rotatePseudonyms: {
    method: 'POST';
    path: '/api/v1/pseudonyms/rotation';
    body: undefined;
    query: undefined;
    answer: KeyReplaced;
  };
  rotateWebhookSecret: {
    method: 'POST';
    path: '/api/v1/webhooks/{webhook_id}/rotation';
    body: SecretRotation;
    query: undefined;
    answer: WebhookAnswer;
  };
  saveMessage: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/saved';
    body: SaveWish;
    query: undefined;
    answer: undefined;
  };
  scheduleKeyDestruction: {
    method: 'POST';
    path: '/api/v1/keys/{key_id}/versions/{version}/destruction';
    body: undefined;
    query: undefined;
    answer: KeyShown;
  };
  schedulePost: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/scheduled';
    body: ScheduleWish;
    query: undefined;
    answer: Scheduled;
  };
  search: {
    method: 'GET';
    path: '/api/v1/search';
    body: undefined;
    query: {
      readonly q?: string;
      readonly room?: string | null;
      readonly sender?: string | null;
      readonly since?: string | null;
      readonly until?: string | null;
      readonly has_file?: boolean | null;
      readonly after?: string | null;
      readonly limit?: number;
    };
    answer: Blob;
  };
  sendClientLog: {
    method: 'POST';
    path: '/api/v1/diagnostics';
    body: ClientLog;
    query: undefined;
    answer: ClientLogHead;
  };
  setMember: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/members/{account_id}';
    body: PartWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: MemberAnswer;
  };
  setNotify: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/notify';
    body: NotifyWish;
    query: undefined;
    answer: undefined;
  };
  setPassword: {
    method: 'PUT';
    path: '/api/v1/account/password';
    body: NewPassword;
    query: undefined;
    answer: undefined;
  };
  setPresence: {
    method: 'PUT';
    path: '/api/v1/presence';
    body: StatusWish;
    query: undefined;
    answer: Shown;
  };
  setPrivacyNotice: {
    method: 'PUT';
    path: '/api/v1/privacy-notice';
    body: NoticeWish;
    query: undefined;
    answer: NoticeAnswer;
  };
  setPushSettings: {
    method: 'PUT';
    path: '/api/v1/push/settings';
    body: PushSettingsWish;
    query: undefined;
    answer: PushSettings;
  };
  setRetention: {
    method: 'PUT';
    path: '/api/v1/retention';
    body: RetentionWish;
    query: undefined;
    answer: RetentionAnswer;
  };
  setRoomRetention: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/retention';
    body: RetentionWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: RetentionAnswer;
  };
  signInWithCode: {
    method: 'POST';
    path: '/api/v1/sign-in/code';
    body: CodeStep;
    query: undefined;
    answer: SignInAnswer;
  };
  signInWithPasskey: {
    method: 'POST';
    path: '/api/v1/sign-in/passkey';
    body: PasskeyStep;
    query: undefined;
    answer: SignInAnswer;
  };
  signInWithPassword: {
    method: 'POST';
    path: '/api/v1/sign-in/password';
    body: PasswordStep;
    query: undefined;
    answer: SignInAnswer;
  };
  signInWithProvider: {
    method: 'POST';
    path: '/api/v1/sign-in/provider';
    body: ProviderStep;
    query: undefined;
    answer: SignInAnswer;
  };
  signUp: {
    method: 'POST';
    path: '/api/v1/sign-up';
    body: SignUpStep;
    query: undefined;
    answer: SignInAnswer;
  };
  signUpWithPasskey: {
    method: 'POST';
    path: '/api/v1/sign-up/passkey';
    body: SignUpPasskeyStep;
    query: undefined;
    answer: SignInAnswer;
  };
  startImport: {
    method: 'POST';
    path: '/api/v1/imports/{import_id}/start';
    body: StartedImport;
    query: undefined;
    answer: ImportAnswer;
  };
  testPushSubscription: {
    method: 'POST';
    path: '/api/v1/push/subscriptions/{push_id}/test';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  testRoute: {
    method: 'POST';
    path: '/api/v1/routes/{route_id}/test';
    body: undefined;
    query: undefined;
    answer: TestAnswer;
  };
  testWebhook: {
    method: 'POST';
    path: '/api/v1/webhooks/{webhook_id}/test';
    body: undefined;
    query: undefined;
    answer: TestAnswer;
  };
  tryAccountErasure: {
    method: 'POST';
    path: '/api/v1/account/erasure/dry-run';
    body: undefined;
    query: undefined;
    answer: ErasureAnswer;
  };
  tryErasure: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/erasures/dry-run';
    body: ErasureWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: ErasureAnswer;
  };
  tryOneAccountErasure: {
    method: 'POST';
    path: '/api/v1/accounts/{account_id}/erasure/dry-run';
    body: undefined;
    query: undefined;
    answer: ErasureAnswer;
  };
  tryRetention: {
    method: 'POST';
    path: '/api/v1/retention/dry-run';
    body: RetentionWish;
    query: undefined;
    answer: RetentionTried;
  };
  type: {
    method: 'POST';
    path: '/api/v1/rooms/{room_id}/typing';
    body: TypingWish;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  unblock: {
    method: 'DELETE';
    path: '/api/v1/blocks/{account_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  unlinkProvider: {
    method: 'DELETE';
    path: '/api/v1/account/providers/{provider_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  unmarkHealthRoom: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/phi';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  unpinMessage: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/pin';
    body: undefined;
    query: {
      readonly uuid?: string | null;
    };
    answer: undefined;
  };
  unsaveMessage: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/saved';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  uploadImport: {
    method: 'PATCH';
    path: '/api/v1/imports/{import_id}/archive';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  verifyAudit: {
    method: 'GET';
    path: '/api/v1/audit/verification';
    body: undefined;
    query: undefined;
    answer: signaling_compliance_audit_operations_Verdict;
  };
  vote: {
    method: 'PUT';
    path: '/api/v1/rooms/{room_id}/messages/{message_id}/vote';
    body: Ballot;
    query: {
      readonly uuid?: string | null;
    };
    answer: MessageView;
  };
  withdrawConsent: {
    method: 'DELETE';
    path: '/api/v1/oauth/consents/{client_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  withdrawConsentOf: {
    method: 'DELETE';
    path: '/api/v1/accounts/{account_id}/consents/{purpose_id}';
    body: undefined;
    query: undefined;
    answer: ConsentAnswer;
  };
  withdrawGuestLink: {
    method: 'DELETE';
    path: '/api/v1/guest-links/{link_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  withdrawInvitation: {
    method: 'DELETE';
    path: '/api/v1/invitations/{link_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  withdrawMyRightsRequest: {
    method: 'DELETE';
    path: '/api/v1/account/requests/{request_id}';
    body: undefined;
    query: undefined;
    answer: RequestAnswer;
  };
  withdrawObjection: {
    method: 'DELETE';
    path: '/api/v1/account/objections/{purpose_id}';
    body: undefined;
    query: undefined;
    answer: ProcessingAnswer;
  };
  withdrawPurposeConsent: {
    method: 'DELETE';
    path: '/api/v1/account/consents/{purpose_id}';
    body: undefined;
    query: undefined;
    answer: ConsentAnswer;
  };
  withdrawRoomInvite: {
    method: 'DELETE';
    path: '/api/v1/rooms/{room_id}/invites/{invite_id}';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
}
