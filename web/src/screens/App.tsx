// Which screen stands: lobby, call or the last word, or one of the pages of accounts. What is not the
// lobby comes when it is needed.
import { Suspense, lazy, useEffect } from 'react';
import type { ComponentType } from 'react';
import { pageOf } from '../client/accounts/pages';
import { Failure, describe } from '../client/errors';
import { Announcer } from '../components/Announcer';
import { useCall } from '../components/hooks';
import { isolate, t } from '../i18n';
import { Boundary } from './Boundary';
import { Ended } from './Ended';
import { Lobby } from './Lobby';

async function loadCall(): Promise<{ default: typeof import('./Call').Call }> {
  try {
    return { default: (await import('./Call')).Call };
  } catch (error) {
    throw new Failure('version_too_old', { detail: describe(error) });
  }
}

const Call = lazy(loadCall);

async function loadAccounts(): Promise<{ default: ComponentType }> {
  try {
    return { default: (await import('./accounts/Accounts')).Accounts };
  } catch (error) {
    throw new Failure('version_too_old', { detail: describe(error) });
  }
}

const Accounts = lazy(loadAccounts);

export function App() {
  if (pageOf(new URL(location.href)) === 'call') return <Calls />;
  return (
    <Boundary>
      <Suspense fallback={<p role="status">{t('page.loading')}</p>}>
        <Accounts />
      </Suspense>
    </Boundary>
  );
}

function Calls() {
  const phase = useCall((state) => state.phase);
  const room = useCall((state) => state.room);
  const calling = phase === 'connected' || phase === 'reconnecting';
  useEffect(() => {
    document.title = calling ? t('app.title.call', { room: isolate(room) }) : t('app.title');
  }, [calling, room]);
  // Whoever is in the lobby will want the call's screen next: joining should not wait for it.
  useEffect(() => void loadCall().catch(() => undefined), []);
  return (
    <Boundary>
      <Screen phase={phase} />
      <Announcer />
    </Boundary>
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
