// Brings a line to the server and keeps it there: a ticket, a socket, and again after a wait whenever it
// ends, until it is stopped or the server refuses for good.
//
//   waiting --ticket, socket, hello--> open --ended--> waiting        any --refused--> trouble
import { Failure, asFailure } from '../errors';
import { Backoff } from './backoff';
import type { Clock } from './clock';
import type { SessionFrame } from './frames';
import { Line, PROTOCOLS } from './line';
import type { Socket } from './line';
import type { Level } from './ring';
import { endsForGood } from './verdicts';

export interface Outside {
  /** `wss:` and the path of the sync socket. */
  readonly url: string;
  /** A one-time ticket for the socket. Raises Failure. */
  ticket(): Promise<string>;
  open(url: string, protocols: string[]): Socket;
  readonly clock: Clock;
  /** From 0 to 1. */
  random(): number;
  readonly backoff?: Backoff;
}

export interface Answering {
  opened(line: Line): void;
  heard(frame: SessionFrame): Promise<void>;
  gone(): void;
  note(level: Level, text: string): void;
}

const REFUSED: ReadonlySet<string> = new Set([
  'token_missing',
  'token_invalid',
  'token_expired',
  'token_revoked',
]);

export class Dialer {
  /** Why it ended for good: sign in again. */
  trouble: Failure | null = null;
  connections = 0;
  line: Line | null = null;
  readonly backoff: Backoff;
  private wakeUp: (() => void) | null = null;

  constructor(
    private readonly outside: Outside,
    private readonly answering: Answering,
  ) {
    this.backoff = outside.backoff ?? new Backoff(() => outside.random());
  }

  /** Until `signal` ends it, or the server refuses for good. */
  async run(signal: AbortSignal): Promise<void> {
    const isOver = () => signal.aborted || this.trouble !== null;
    const hangUp = () => {
      this.line?.close();
      this.wakeUp?.();
    };
    signal.addEventListener('abort', hangUp);
    while (!isOver()) {
      const seconds = await this.once(isOver);
      if (!isOver()) await this.sleep(Math.max(this.backoff.wait(), seconds * 1000));
    }
    signal.removeEventListener('abort', hangUp);
  }

  /** There may be a network again: try now. */
  wake(): void {
    this.backoff.reset();
    this.wakeUp?.();
  }

  /** The account is signed out here. */
  refuse(detail: string): void {
    this.trouble = new Failure('token_revoked', { detail });
    this.line?.close();
  }

  /** One socket from its ticket to its end; the seconds that the server wants to be left alone. */
  private async once(isOver: () => boolean): Promise<number> {
    try {
      const ticket = await this.outside.ticket();
      if (isOver()) return 0;
      const url = `${this.outside.url}?ticket=${encodeURIComponent(ticket)}`;
      const code = await this.connected(this.outside.open(url, [...PROTOCOLS]));
      this.answering.note('info', `the socket ended: ${code}`);
      if (endsForGood(code)) this.refuse(`close ${code}`);
      return 0;
    } catch (error) {
      const failure = asFailure(error);
      this.answering.note('info', `not connected: ${failure.code} ${failure.message}`);
      if (REFUSED.has(failure.code)) this.trouble = failure;
      return failure.seconds;
    } finally {
      this.line = null;
      this.answering.gone();
    }
  }

  private async connected(socket: Socket): Promise<number> {
    const line: Line = new Line(socket, this.outside.clock, {
      opened: () => {
        this.line = line;
        this.connections += 1;
        this.answering.note('info', 'connected');
        this.answering.opened(line);
      },
      heard: (frame) => this.answering.heard(frame),
      note: (text) => this.answering.note('info', text),
    });
    return line.ended;
  }

  private async sleep(ms: number): Promise<void> {
    const { clock } = this.outside;
    await new Promise<void>((resolve) => {
      const timer = clock.setTimeout(resolve, ms);
      this.wakeUp = () => {
        clock.clearTimeout(timer);
        resolve();
      };
    });
    this.wakeUp = null;
  }
}
