// How long to wait before the next try: one second, doubling to five minutes, a quarter of jitter. Pure.

const FIRST_MS = 1000;
const LAST_MS = 300_000;
const JITTER = 0.25;

export class Backoff {
  private next: number;

  /** `random` gives numbers from 0 to 1. */
  constructor(
    private readonly random: () => number,
    private readonly first: number = FIRST_MS,
  ) {
    this.next = first;
  }

  /** Milliseconds until the next try. */
  wait(): number {
    const base = this.next;
    this.next = Math.min(LAST_MS, base * 2);
    return base * (1 + JITTER * (2 * this.random() - 1));
  }

  /** It worked. */
  reset(): void {
    this.next = this.first;
  }
}
