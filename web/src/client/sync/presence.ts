// How people are whom the account shares a room with, as far as they show it: in memory only. The partition
// `presence` has no log: its state comes with the first download and stands for all that was here, then
// `presence` frames change it. While the device is not connected, `people` is what was heard last. The tab
// with the socket tells the others. Owned by the client.
//
//   away --begin--> bound --first download--> synced --socket gone, error--> away
import { peopleOf } from './frames';
import type { ClientFrame, PersonShown, SessionFrame } from './frames';
import type { Phase } from './replica';
import type { News } from './tabs';
import { fateOf } from './verdicts';
import type { Fate } from './verdicts';

interface PresenceHost {
  number(presence: Presence): number;
  tell(news: News): void;
  changed(): void;
}

interface Outlet {
  send(frames: readonly ClientFrame[]): void;
}

type Listener = (people: readonly PersonShown[]) => void;

export class Presence {
  readonly path = 'presence';
  /** No longer followed, by the server's word. */
  isStopped = false;
  isFollowed = false;
  phase: Phase = 'away';
  session = 0;
  private shown = new Map<string, PersonShown>();
  private readonly listeners = new Set<Listener>();
  private outlet: Outlet | null = null;

  constructor(private readonly host: PresenceHost) {}

  /** By account; whoever is not here is offline. */
  get people(): ReadonlyMap<string, PersonShown> {
    return this.shown;
  }

  of(account: string): PersonShown {
    return this.shown.get(account) ?? offline(account);
  }

  /** Told of those who are another way than before; returns how to stop listening. */
  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  // The session

  begin(outlet: Outlet): void {
    this.outlet = outlet;
    this.session = this.host.number(this);
    this.phase = 'bound';
    const { session, path } = this;
    outlet.send([{ type: 'bind', session, path, need_client_file_ident: true }]);
  }

  gone(): void {
    this.outlet = null;
    this.phase = 'away';
  }

  hear(frame: SessionFrame): void {
    if (frame.session !== this.session || this.phase === 'away') return;
    switch (frame.type) {
      case 'ident':
        this.identify(frame.client_file_ident, frame.client_file_ident_salt);
        return;
      case 'download':
        this.phase = 'synced';
        if (frame.state !== undefined) this.told(peopleOf(frame.state), true);
        return;
      case 'presence':
        this.told(frame.people, false);
        return;
      case 'error':
        this.ended(fateOf(frame));
        return;
      default:
      // Nothing is asked for.
    }
  }

  private identify(client_file_ident: string, client_file_ident_salt: string): void {
    const begun = { download_server_version: 0, chain: '', upload_client_version: 0 } as const;
    const who = { client_file_ident, client_file_ident_salt };
    this.outlet?.send([{ type: 'ident', session: this.session, ...who, ...begun, compress: true }]);
  }

  private ended(fate: Fate): void {
    if (fate === 'warn' || fate === 'ignore') return;
    this.phase = 'away';
    const isAgain = fate === 'rename' || fate === 'begin_anew';
    if (this.outlet !== null && isAgain) this.begin(this.outlet);
  }

  private told(people: readonly PersonShown[], isWhole: boolean): void {
    this.take(people, isWhole);
    this.host.tell({ kind: 'people', people, isWhole });
  }

  /** Everything, for a tab that has nothing yet. */
  retell(): void {
    this.host.tell({ kind: 'people', people: [...this.shown.values()], isWhole: true });
  }

  /** What this tab heard, or another one of this device. */
  take(people: readonly PersonShown[], isWhole: boolean): void {
    const now = new Map(people.map((person) => [person.account, person]));
    const gone = isWhole ? [...this.shown.keys()].filter((account) => !now.has(account)) : [];
    const news = [...people, ...gone.map((account) => offline(account))].filter(
      (person) => !isSame(person, this.of(person.account)),
    );
    this.shown = isWhole ? now : new Map([...this.shown, ...now]);
    if (news.length === 0) return;
    for (const listener of this.listeners) listener(news);
    this.host.changed();
  }
}

function offline(account: string): PersonShown {
  return { account, state: 'offline', text: '', emoji: '', until: null, seen_at: null };
}

function isSame(one: PersonShown, other: PersonShown): boolean {
  return (
    one.state === other.state &&
    one.text === other.text &&
    one.emoji === other.emoji &&
    one.until === other.until &&
    one.seen_at === other.seen_at
  );
}
