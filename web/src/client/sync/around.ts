// What a device has to do with presence beside its partitions: how others are, and whether anybody looks at
// this one, in all its tabs. Owned by the client.
import { Attention } from './attention';
import type { Line } from './line';
import type { Partition } from './partition';
import { Presence } from './presence';
import type { News } from './tabs';

/** What has sessions on the socket. */
export type Followed = Partition | Presence;

interface AroundHost {
  /** A number for a session that its socket did not have before. */
  number(presence: Presence): number;
  line(): Line | null;
  tell(news: News): void;
  changed(): void;
}

export class Around {
  readonly presence: Presence;
  private readonly attention: Attention;

  /** `tab`: a name that no other tab has. */
  constructor(
    tab: () => string,
    private readonly host: AroundHost,
  ) {
    const tell = (news: News) => host.tell(news);
    this.presence = new Presence({
      number: (presence) => host.number(presence),
      tell,
      changed: () => host.changed(),
    });
    this.attention = new Attention(tab, tell, () => host.line()?.background(this.attention.isAway));
  }

  look(isShown: boolean): void {
    this.attention.look(isShown);
  }

  opened(line: Line): void {
    if (this.attention.isAway) line.background(true);
  }

  followed(): Presence[] {
    return this.presence.isFollowed ? [this.presence] : [];
  }

  follow(leads: boolean): Presence {
    const { presence } = this;
    if (presence.isFollowed) return presence;
    presence.isFollowed = true;
    const line = this.host.line();
    if (line !== null) presence.begin(line);
    else if (!leads) this.host.tell({ kind: 'people_wanted' });
    return presence;
  }

  /** What another tab told. */
  told(news: News, leads: boolean): void {
    if (news.kind === 'people') this.presence.take(news.people, news.isWhole);
    else if (news.kind === 'people_wanted' && leads) this.follow(leads).retell();
    else if (news.kind === 'shown') this.attention.heard(news.tab, news.isShown);
    else if (news.kind === 'who_is_shown') this.attention.asked();
  }
}

/** What fails is told to the partition's host. */
export function begin(followed: Followed, line: Line): void {
  followed.begin(line)?.catch(() => undefined);
}
