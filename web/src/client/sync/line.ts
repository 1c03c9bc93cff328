// One socket from its opening to its end: frames in their order, pings, silence, and no more frames than
// the server takes. Knows no partitions; owned by the client.
//
//   opening --hello--> open --closed, silent, nonsense--> over
import type { Clock } from './clock';
import { BadFrame, read } from './frames';
import type { ClientFrame, Hello, ServerFrame, SessionFrame } from './frames';
import { Outbox } from './outbox';

/** Each version by itself: browsers take no other answer than one of their offers. */
export const PROTOCOLS: readonly string[] = ['sotto.1'];

const HELLO_MS = 30_000;
/** Of the rate and the burst that the server allows, so that rounding costs no socket. */
const SHARE = 0.8;
const NORMAL = 1000;
const FAILED = 1006;

/** What of a WebSocket is used. */
export interface Socket {
  readonly protocol: string;
  send(data: string): void;
  close(code?: number): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly code: number }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
}

export interface Listener {
  opened(hello: Hello): void;
  /** The next frame is read when this is done. */
  heard(frame: SessionFrame): Promise<void>;
  note(text: string): void;
}

export class Line {
  /** The close code. Never rejects. */
  readonly ended: Promise<number>;
  private end: (code: number) => void = () => undefined;
  private isOver = false;
  private hello: Hello | null = null;
  private readonly waiting = new Outbox();
  private tokens = 0;
  private filledAt = 0;
  private pacing: number | null = null;
  private silence: number | null = null;
  private reading: Promise<void> = Promise.resolve();

  constructor(
    private readonly socket: Socket,
    private readonly clock: Clock,
    private readonly listener: Listener,
  ) {
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
    socket.addEventListener('close', ({ code }) => this.over(code));
    // Browsers tell of the close as well; Node 20 does not when the socket never opened.
    socket.addEventListener('error', () => {
      listener.note('the socket failed');
      this.over(FAILED);
    });
    socket.addEventListener('message', ({ data }) => {
      this.listen();
      this.reading = this.reading.then(() => this.take(data));
    });
    this.listenFor(HELLO_MS);
  }

  /** Frames go out in their order; those of a line that is over go nowhere. */
  send(frames: readonly ClientFrame[]): void {
    for (const frame of frames) this.waiting.put(frame);
    this.drain();
  }

  /** In the background the server waits longer for an answer, and pings as often as before: silence
   *  means the same. */
  background(background: boolean): void {
    const seconds = this.hello?.ping_seconds;
    this.send([
      { type: 'pace', background, ...(background && seconds !== undefined && { seconds }) },
    ]);
  }

  close(): void {
    if (this.isOver) return;
    // First, since where nobody answers the handshake of closing takes as long as it likes.
    this.over(NORMAL);
    this.socket.close(NORMAL);
  }

  private over(code: number): void {
    if (this.isOver) return;
    this.isOver = true;
    this.waiting.clear();
    for (const timer of [this.pacing, this.silence]) {
      if (timer !== null) this.clock.clearTimeout(timer);
    }
    this.end(code);
  }

  // In

  private async take(data: unknown): Promise<void> {
    if (this.isOver) return;
    try {
      const frame = typeof data === 'string' ? await read(data) : null;
      if (frame !== null && !this.isOver) await this.hear(frame);
    } catch (error) {
      const what = error instanceof BadFrame ? error.message : String(error);
      this.listener.note(`a frame could not be taken: ${what}`);
      this.close();
    }
  }

  private async hear(frame: ServerFrame): Promise<void> {
    if (frame.type === 'ping') {
      // Before all that waits: somebody is there.
      this.socket.send(JSON.stringify({ type: 'pong', id: frame.id }));
    } else if (frame.type === 'hello') {
      if (!PROTOCOLS.includes(this.socket.protocol))
        throw new BadFrame('no protocol was agreed on');
      this.hello = frame;
      this.tokens = most(frame);
      this.filledAt = this.clock.now();
      this.listen();
      this.listener.opened(frame);
    } else {
      await this.listener.heard(frame);
    }
  }

  private listen(): void {
    if (this.hello === null) return;
    this.listenFor((this.hello.ping_seconds + this.hello.pong_seconds) * 1000);
  }

  /** A server pings: who hears nothing for so long is talking to nobody. */
  private listenFor(ms: number): void {
    if (this.silence !== null) this.clock.clearTimeout(this.silence);
    if (this.isOver) return;
    this.silence = this.clock.setTimeout(() => {
      this.listener.note('the server fell silent');
      this.close();
    }, ms);
  }

  // Out

  private drain(): void {
    if (this.hello === null || this.isOver || this.pacing !== null) return;
    this.fill(this.hello);
    while (this.waiting.length > 0 && this.tokens >= 1) {
      this.tokens -= 1;
      this.socket.send(JSON.stringify(this.waiting.take()));
    }
    if (this.waiting.length === 0) return;
    const ms = 1000 / (this.hello.messages_per_second * SHARE);
    this.pacing = this.clock.setTimeout(() => {
      this.pacing = null;
      this.drain();
    }, ms);
  }

  private fill(hello: Hello): void {
    const now = this.clock.now();
    const fresh = ((now - this.filledAt) / 1000) * hello.messages_per_second * SHARE;
    this.tokens = Math.min(most(hello), this.tokens + Math.max(0, fresh));
    this.filledAt = now;
  }
}

/** A burst of one is still one. */
function most(hello: Hello): number {
  return Math.max(1, hello.messages_burst * SHARE);
}
