// What a scenario is given: a server, browsers whose tabs are closed for it, and a place for notes.
import type { Browser } from './browsers';
import type { Server } from './servers';

export interface World {
  readonly server: Server;
  /** The same server over TLS, where cookies and passkeys work; '' where there is none. */
  readonly secure: string;
  /** What the server printed: the first administrator's link is told nowhere else. */
  readonly log: string;
  /** A folder for pictures, or ''. */
  readonly out: string;
  readonly chromium: Pick<Browser, 'open'>;
  firefox(): Promise<Browser>;
  note(text: string): void;
}

export type Scenarios = Readonly<Record<string, (world: World) => Promise<void>>>;
