// Who is signed in, and the way in or out. At the end of the header of every page but the call.
import { LogOut, UserRound } from 'lucide-react';
import { signInPath } from '../client/accounts/pages';
import { shownName } from '../client/accounts/who';
import { t } from '../i18n';
import { useClient, useWho } from './hooks';
import styles from './WhoBar.module.css';

interface WhoBarProps {
  /** Where to come back to after signing in. */
  readonly next: string;
}

export function WhoBar({ next }: WhoBarProps) {
  const client = useClient();
  const status = useWho((state) => state.status);
  const account = useWho((state) => state.account);
  if (status === 'asking') return null;
  if (account === null) {
    return (
      <a className={styles['item']} href={signInPath(next)}>
        {t('who.sign-in')}
      </a>
    );
  }
  const name = shownName(account);
  return (
    <div className={styles['bar']}>
      {account.kind === 'guest' ? (
        <span className={styles['name']}>
          <bdi>{t('who.guest', { name })}</bdi>
        </span>
      ) : (
        <a className={styles['item']} href="/settings" aria-label={t('who.settings', { name })}>
          <UserRound size={18} aria-hidden />
          <bdi className={styles['name']}>{name}</bdi>
        </a>
      )}
      <button
        type="button"
        className={`${styles['item']} ${styles['out']}`}
        onClick={() => void client.who.signOut().catch(() => client.who.again())}
      >
        <LogOut size={18} aria-hidden />
        {t('who.sign-out')}
      </button>
    </div>
  );
}
