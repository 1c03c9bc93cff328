// What readers hear without looking: others come, go and share (polite), your own switches (assertive).
import { useEffect, useState } from 'react';
import { announcePeople, announceSwitches } from '../client/announcements';
import { inCall } from '../client/call/machine';
import { isolate, t } from '../i18n';
import type { Message } from '../i18n';
import { useClient } from './hooks';
import styles from './Tile.module.css';

interface Said extends Message {
  readonly serial: number;
}

/** Long enough to be read aloud; then the region is emptied, so that browsing does not find old news. */
const KEPT_MS = 8_000;

export function Announcer() {
  const client = useClient();
  const [polite, sayPolitely] = useSpeech();
  const [assertive, sayNow] = useSpeech();
  useEffect(
    () =>
      client.call.store.subscribe((state, before) => {
        if (
          state.phase !== before.phase &&
          before.phase !== 'reconnecting' &&
          state.phase === 'connected'
        ) {
          sayPolitely([{ key: 'say.call.joined', values: { room: isolate(state.room) } }]);
        }
        if (!inCall(state.phase) || !inCall(before.phase)) return;
        if (before.people.length > 0) sayPolitely(announcePeople(before.people, state.people));
        sayNow(announceSwitches(before.switches, state.switches));
      }),
    [client, sayNow, sayPolitely],
  );
  return (
    <>
      <Region live="polite" said={polite} />
      <Region live="assertive" said={assertive} />
    </>
  );
}

function Region({
  live,
  said,
}: {
  readonly live: 'polite' | 'assertive';
  readonly said: readonly Said[];
}) {
  return (
    <div className={styles['hidden']} aria-live={live} aria-atomic={false} data-announcer={live}>
      {said.map(({ serial, key, values }) => (
        <p key={serial}>{t(key, values)}</p>
      ))}
    </div>
  );
}

let serials = 0;

function useSpeech(): [readonly Said[], (messages: readonly Message[]) => void] {
  const [said, setSaid] = useState<readonly Said[]>([]);
  const [say] = useState(() => (messages: readonly Message[]) => {
    if (messages.length === 0) return;
    const fresh = messages.map((message) => {
      serials += 1;
      return { ...message, serial: serials };
    });
    setSaid((before) => [...before, ...fresh]);
    setTimeout(() => setSaid((before) => before.filter((one) => !fresh.includes(one))), KEPT_MS);
  });
  return [said, say];
}
