// Where an outside provider sends people back to: finishes the sign-in, or the connection of the two.
import { useEffect, useRef, useState } from 'react';
import { asFailure } from '../../client/errors';
import type { Failure } from '../../client/errors';
import { Button } from '../../components/Button';
import { Page, Title } from '../../components/Page';
import { t } from '../../i18n';
import { useDesk, useSignIn } from './desk';
import { Steps, Trouble } from './Steps';

export function Provider() {
  const desk = useDesk();
  const [refused, setRefused] = useState<Failure | null>(null);
  const failed = useSignIn((state) => state.failure);
  const once = useRef(false);
  useEffect(() => {
    if (once.current) return;
    once.current = true;
    desk.fromProvider().then(
      (connected) => (connected ? desk.go('/settings') : undefined),
      (error: unknown) => setRefused(asFailure(error)),
    );
  }, [desk]);
  const failure = refused ?? failed;
  return (
    <Page>
      <Steps onDone={() => desk.go(desk.next)}>
        <section>
          <Title>{t('sign-in.provider.title')}</Title>
          {failure === null ? (
            <p role="status">{t('page.loading')}</p>
          ) : (
            <>
              <Trouble failure={failure} />
              <Button wide onClick={() => desk.go('/sign-in')}>
                {t('page.start-again')}
              </Button>
            </>
          )}
        </section>
      </Steps>
    </Page>
  );
}
