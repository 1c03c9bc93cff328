// The sync client: rooms that work while the server is away. Framework-free, and never part of what a page
// loads first: `const { openProfile } = await import('./sync')`. Also `@sotto/web/sync` for other programs,
// which give SyncClient their own storage, sockets and clock. docs/reference/sync.md is the protocol.
export type { AccountState } from './account-state';
export { Backoff } from './backoff';
export type { Clock } from './clock';
export type { Copy, File, Handed, Pending, Write } from './copy';
export type { Outside } from './dialer';
export { ownOf } from './folding';
export { IndexedDbStorage } from './indexeddb';
export { PROTOCOLS } from './line';
export type { Socket } from './line';
export { Messages } from './messages';
export type { AnyOp, Entry, Place, RoomOp, RoomState } from './model';
export { sendLog } from './diagnostics';
export { Presence } from './presence';
export { clockOf, openProfile, ticketFrom } from './profile';
export type { Level, Line } from './ring';
export { LogRing } from './ring';
export { messageId, ops, viewOf } from './room';
export { MemoryStorage, Outrun } from './storage';
export type { Storage } from './storage';
export { SyncClient } from './sync-client';
export type { PersonShown } from './frames';
export { ManyTabs, OneTab } from './tabs';
export type { Locks, News, Tabs } from './tabs';
export { fateOf } from './verdicts';
export type { Fate } from './verdicts';
export type { MessageView, RoomView } from './views';
