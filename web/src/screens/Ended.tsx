// The last word of a call: you left, or why it ended, and the way back.
import { Button } from '../components/Button';
import { FailureFoot } from '../components/FailurePanel';
import { failureBody, failureTitle } from '../components/failure-text';
import { useCall, useClient, useFocusOnMount } from '../components/hooks';
import { Logo } from '../components/Logo';
import { isolate, t } from '../i18n';
import styles from './Ended.module.css';

export function Ended() {
  const client = useClient();
  const heading = useFocusOnMount<HTMLHeadingElement>();
  const failure = useCall((state) => state.failure);
  const room = useCall((state) => state.room);
  const busy = useCall((state) => state.phase === 'rejoining');
  const reload = failure?.code === 'version_too_old';
  return (
    <div className={styles['page']}>
      <header className={styles['header']}>
        <Logo />
      </header>
      <main className={styles['main']} data-code={failure?.code ?? 'left'}>
        <h1 ref={heading} tabIndex={-1} className={styles['title']}>
          {failure === null ? t('ended.left.title') : failureTitle(failure)}
        </h1>
        <p className={styles['body']} role={failure === null ? undefined : 'alert'}>
          {failure === null ? t('ended.left.body', { room: isolate(room) }) : failureBody(failure)}
        </p>
        <div className={styles['actions']}>
          {reload ? (
            <Button look="primary" onClick={() => location.reload()}>
              {t('ended.reload')}
            </Button>
          ) : (
            <Button look="primary" busy={busy} disabled={busy} onClick={() => void client.rejoin()}>
              {t('ended.rejoin')}
            </Button>
          )}
          <Button disabled={busy} onClick={() => client.home()}>
            {t('ended.start')}
          </Button>
        </div>
        {failure !== null && <FailureFoot failure={failure} />}
      </main>
    </div>
  );
}
