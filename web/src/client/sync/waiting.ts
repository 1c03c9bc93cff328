// Until something holds: looked at after every change, for as long as somebody has patience.
import { Failure } from '../errors';
import type { Clock } from './clock';

/** `subscribe` tells of changes. Raises Failure at `end`. */
export async function waitFor(
  holds: () => boolean,
  end: number,
  clock: Clock,
  subscribe: (listener: () => void) => () => void,
): Promise<void> {
  if (holds()) return;
  await new Promise<void>((resolve, reject) => {
    const timer = clock.setTimeout(
      () => {
        leave();
        reject(new Failure('server_unreachable', { detail: 'not synced in time' }));
      },
      Math.max(0, end - clock.now()),
    );
    const leave = subscribe(() => {
      if (!holds()) return;
      clock.clearTimeout(timer);
      leave();
      resolve();
    });
  });
}
