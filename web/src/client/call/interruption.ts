// What to show while a call is interrupted: nothing for 2 s (most interruptions are shorter), then a
// banner, after 10 s a dialog, after 30 s the call is given up. Owns its timers; the clock is passed in.

export type Interruption = 'none' | 'banner' | 'dialog';

const BANNER_AFTER_MS = 2_000;
export const DIALOG_AFTER_MS = 10_000;
export const LOST_AFTER_MS = 30_000;

export interface Clock {
  setTimeout(callback: () => void, ms: number): number;
  clearTimeout(handle: number): void;
}

export class InterruptionTimer {
  private handles: number[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly show: (stage: Interruption) => void,
    private readonly lost: () => void,
  ) {}

  start(): void {
    if (this.handles.length > 0) return;
    this.handles = [
      this.clock.setTimeout(() => this.show('banner'), BANNER_AFTER_MS),
      this.clock.setTimeout(() => this.show('dialog'), DIALOG_AFTER_MS),
      this.clock.setTimeout(() => this.lost(), LOST_AFTER_MS),
    ];
  }

  stop(): void {
    for (const handle of this.handles) this.clock.clearTimeout(handle);
    this.handles = [];
    this.show('none');
  }
}
