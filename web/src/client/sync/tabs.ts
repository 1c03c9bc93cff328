// Several tabs of one profile: one of them has the socket and writes the copies ("one session per file");
// the others read what it kept, and hand it what they make. The one is who holds a lock (Web Locks); when
// it closes, crashes or sleeps for good, the next one gets it and goes on from what is kept.
import type { Write } from './copy';
import type { PersonShown } from './frames';

export type News =
  /** What the tab with the socket kept of a partition. */
  | { readonly kind: 'kept'; readonly path: string; readonly writes: readonly Write[] }
  /** A tab without it handed a change over: it is kept, and waits to be taken. */
  | { readonly kind: 'handed'; readonly path: string }
  /** How people are, from the tab with the socket; one that has nothing yet wants all of it. */
  | { readonly kind: 'people'; readonly people: readonly PersonShown[]; readonly isWhole: boolean }
  | { readonly kind: 'people_wanted' }
  /** Whether a tab is shown; the tab that has the socket now asks all of them. */
  | { readonly kind: 'shown'; readonly tab: string; readonly isShown: boolean }
  | { readonly kind: 'who_is_shown' };

export interface Tabs {
  /** Runs `work` once this tab is the one, until it ends or `signal` does. */
  lead(work: () => Promise<void>, signal: AbortSignal): Promise<void>;
  tell(news: News): void;
  listen(listener: (news: News) => void): void;
  close(): void;
}

/** A device of one tab, or one whose copies are its own. */
export class OneTab implements Tabs {
  async lead(work: () => Promise<void>): Promise<void> {
    await work();
  }

  tell(): void {
    // Nobody else is there.
  }

  listen(): void {
    // Nobody else is there.
  }

  close(): void {
    // Nothing is open.
  }
}

/** The part of Web Locks that is used. */
export type Locks = Pick<LockManager, 'request'>;

export class ManyTabs implements Tabs {
  constructor(
    private readonly name: string,
    private readonly locks: Locks,
    private readonly channel: BroadcastChannel,
  ) {}

  async lead(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    try {
      await this.locks.request(this.name, { signal }, work);
    } catch (error) {
      // It was never this tab's turn.
      if (!signal.aborted) throw error;
    }
  }

  tell(news: News): void {
    // A channel has no other origin than its own.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    this.channel.postMessage(news);
  }

  listen(listener: (news: News) => void): void {
    this.channel.addEventListener('message', ({ data }: MessageEvent<News>) => listener(data));
  }

  close(): void {
    this.channel.close();
  }
}
