// Which screen stands: lobby, call or the last word. The call's code comes when it is needed.
import { Suspense, lazy, useEffect } from 'react';
import { Announcer } from '../components/Announcer';
import { useCall } from '../components/hooks';
import { isolate, t } from '../i18n';
import { Ended } from './Ended';
import { Lobby } from './Lobby';

const Call = lazy(async () => ({ default: (await import('./Call')).Call }));

export function App() {
  const phase = useCall((state) => state.phase);
  const room = useCall((state) => state.room);
  const calling = phase === 'connected' || phase === 'reconnecting';
  useEffect(() => {
    document.title = calling ? t('app.title.call', { room: isolate(room) }) : t('app.title');
  }, [calling, room]);
  return (
    <>
      <Screen phase={phase} />
      <Announcer />
    </>
  );
}

function Screen({ phase }: { readonly phase: string }) {
  if (phase === 'lobby' || phase === 'joining') return <Lobby />;
  if (phase === 'ended' || phase === 'rejoining') return <Ended />;
  return (
    <Suspense fallback={<p role="status">{t('call.loading')}</p>}>
      <Call />
    </Suspense>
  );
}
