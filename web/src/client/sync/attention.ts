// Whether anybody looks at this device: some tab of it is shown. Each tab says so to all of them; the one with
// the socket tells the server, which shows an account as away when all its devices are in the background.
import type { News } from './tabs';

export class Attention {
  private readonly shown = new Set<string>();
  private isKnown = false;
  private isShown = false;
  private name = '';

  /** `named` gives a name that no other tab has. */
  constructor(
    private readonly named: () => string,
    private readonly tell: (news: News) => void,
    private readonly changed: () => void,
  ) {}

  /** Never of a device that says nothing of what is shown. */
  get isAway(): boolean {
    return this.isKnown && this.shown.size === 0;
  }

  private get tab(): string {
    this.name ||= this.named();
    return this.name;
  }

  /** Of this tab. */
  look(isShown: boolean): void {
    this.isShown = isShown;
    this.heard(this.tab, isShown);
    this.tell({ kind: 'shown', tab: this.tab, isShown });
  }

  /** Another tab asks who is shown: it has the socket now. */
  asked(): void {
    if (this.isKnown) this.tell({ kind: 'shown', tab: this.tab, isShown: this.isShown });
  }

  heard(tab: string, isShown: boolean): void {
    const before = this.isAway;
    this.isKnown = true;
    if (isShown) this.shown.add(tab);
    else this.shown.delete(tab);
    if (before !== this.isAway) this.changed();
  }
}
