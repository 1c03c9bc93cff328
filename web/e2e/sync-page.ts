// What a page of the scenarios gets of the sync client: bundled by itself, since no screen loads it yet.
export { Api } from '../src/client/api';
export { messageId, openProfile, ops } from '../src/client/sync';
