// Talking while a key is held, for who is muted otherwise. Knows neither keys nor the call: a press and a
// release in, the microphone on and off out, in this order however quickly they follow each other.

export class PushToTalk {
  private held = false;
  /** True while the microphone is on because of the key. */
  private talking = false;
  private working: Promise<void> | null = null;

  constructor(
    private readonly isOn: () => boolean,
    private readonly turn: (on: boolean) => Promise<void>,
  ) {}

  /** Does nothing for who is not muted. */
  press(): void {
    if (this.held || (this.isOn() && !this.talking)) return;
    this.held = true;
    this.settle();
  }

  release(): void {
    if (!this.held) return;
    this.held = false;
    this.settle();
  }

  private settle(): void {
    this.working ??= this.follow().finally(() => {
      this.working = null;
    });
  }

  private async follow(): Promise<void> {
    while (this.talking !== this.held) {
      const on = this.held;
      await this.turn(on);
      // Refused by the browser or the server: the call says why, and holding on does not ask again.
      if (on && !this.isOn()) {
        this.held = false;
        return;
      }
      this.talking = on;
    }
  }
}
